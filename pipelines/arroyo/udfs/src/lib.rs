//! UDFs of Arroyo in, one file of Rust each out: Arroyo compiles a UDF from a single source with its dependencies in a
//! comment, so the file carries the source of `pipelines/text` that the UDF calls.

use std::{fs, io, path::Path};

/// A UDF: its name, and its source in `src/udfs`.
pub struct Udf {
    /// As SQL calls it.
    pub name: &'static str,
    source: &'static str,
}

/// All of them.
pub const UDFS: [Udf; 3] = [
    Udf {
        name: "text_terms",
        source: include_str!("udfs/text_terms.rs"),
    },
    Udf {
        name: "story_key",
        source: include_str!("udfs/story_key.rs"),
    },
    Udf {
        name: "text_lang",
        source: include_str!("udfs/text_lang.rs"),
    },
];

const MANIFEST: &str = include_str!("../Cargo.toml");

impl Udf {
    /// The file Arroyo compiles, of the crate at `text` (the folder of `pipelines/text`).
    ///
    /// # Errors
    /// When a source file cannot be read.
    pub fn bundle(&self, text: &Path) -> io::Result<String> {
        let source = module(&text.join("src"), "lib", &mut Vec::new())?;
        Ok(format!(
            "/*\n{}*/\n\n// Made from src/udfs/{}.rs and pipelines/text by `cargo run --bin bundle`: change those instead.\n\n{}\n#[allow(dead_code, unused_imports, unreachable_pub)]\nmod telesift_text {{\n{source}}}\n",
            dependencies(),
            self.name,
            self.source,
        ))
    }
}

/// The `[dependencies]` of this crate as Arroyo wants them: without what it adds itself, and without paths.
fn dependencies() -> String {
    let lines = MANIFEST
        .lines()
        .skip_while(|line| *line != "[dependencies]");
    let section = lines
        .enumerate()
        .take_while(|(i, line)| *i == 0 || !line.starts_with('['))
        .map(|(_, line)| line.split(" #").next().unwrap_or(line))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter(|line| !line.contains("path = ") && !line.starts_with("arroyo-udf-plugin"));
    section.fold(String::new(), |out, line| out + line + "\n")
}

/// The source of a module with that of its submodules in it; `path` is where the module stands in the crate.
fn module(folder: &Path, name: &str, path: &mut Vec<String>) -> io::Result<String> {
    let below = match name {
        "lib" => folder.to_owned(),
        name => folder.join(name),
    };
    let text = fs::read_to_string(folder.join(format!("{name}.rs")))?;
    let mut out = String::new();
    for line in text.lines() {
        // Tests stand last in a file.
        if line.trim() == "#[cfg(test)]" {
            break;
        }
        if line.starts_with("//!") {
            continue;
        }
        if let Some((visibility, child)) = declared(line) {
            path.push(child.to_owned());
            let source = module(&below, child, path)?;
            path.pop();
            out += &format!("{visibility}mod {child} {{\n{source}}}\n");
            continue;
        }
        out += &included(line, folder)?.replace("crate::", "crate::telesift_text::");
        out.push('\n');
    }
    Ok(out)
}

/// `mod child;`, with what stands before `mod`.
fn declared(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_suffix(';')?;
    let (visibility, child) = rest.split_once("mod ")?;
    let is_one = visibility.is_empty() || visibility.starts_with("pub");
    (is_one && !child.contains(' ')).then_some((visibility, child))
}

/// A line with the text of `include_str!` in its place.
fn included(line: &str, folder: &Path) -> io::Result<String> {
    const CALL: &str = "include_str!(\"";
    let Some((before, rest)) = line.split_once(CALL) else {
        return Ok(line.to_owned());
    };
    let Some((name, after)) = rest.split_once("\")") else {
        return Ok(line.to_owned());
    };
    let text = fs::read_to_string(folder.join(name))?;
    Ok(format!("{before}r###\"{text}\"###{after}"))
}
