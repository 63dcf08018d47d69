//! Puts `rules/default.toml` and `lexicons/*.txt` together into `default.json`, the form that guests read.

use std::{env, error::Error, fs, path::Path};

use serde_json::{Map, Value};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=rules");
    println!("cargo:rerun-if-changed=lexicons");

    let rules: toml::Table = fs::read_to_string("rules/default.toml")?.parse()?;
    let mut rules = serde_json::to_value(rules)?;
    let mut lexicons = Map::new();
    for entry in fs::read_dir("lexicons")? {
        let path = entry?.path();
        // A file has the name of its list; behind a hyphen it may say more of the words in it.
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = stem.split('-').next().unwrap_or_default();
        let words: Vec<Value> = fs::read_to_string(&path)?
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Value::from)
            .collect();
        lexicons.insert(name.to_owned(), words.into());
    }
    rules["lexicons"] = lexicons.into();

    let out_dir = env::var("OUT_DIR")?;
    fs::write(Path::new(&out_dir).join("default.json"), rules.to_string())?;
    Ok(())
}
