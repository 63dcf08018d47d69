//! `telesift models`: brings embedding models into the data directory and lists them; needs no server.

mod hub;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};
use telesift_models::LocalEmbedder;
use telesift_ports::Embedder;

use super::{block_on, print};
use crate::{
    cli::{Connection, ModelsAction, ModelsArgs, PullArgs},
    config, exit,
    topology::embed::MODELS_DIR,
};

/// What a model is made of, and whether it can do without.
const FILES: [(&str, bool); 4] = [
    ("config.json", true),
    ("tokenizer.json", true),
    ("model.safetensors", true),
    ("sentence_bert_config.json", false),
];
const WEIGHTS: &str = "model.safetensors";

pub(crate) fn run(connection: Connection, args: ModelsArgs) -> Result<()> {
    let models = config::data_dir(connection.data_dir.as_deref())?.join(MODELS_DIR);
    match args.action {
        ModelsAction::Pull(pull) => self::pull(&connection, &models, &pull),
        ModelsAction::List => list(&connection, &models),
    }
}

/// Brings the files into a folder of their own, checks that they are a model, and only then gives it its name.
fn pull(connection: &Connection, models: &Path, args: &PullArgs) -> Result<()> {
    let name = name(args).map_err(exit::usage)?;
    let target = models.join(&name);
    ensure!(
        !target.exists(),
        "{} is there already; remove that folder to bring the model anew",
        target.display()
    );
    fs::create_dir_all(models).with_context(|| format!("cannot make {}", models.display()))?;
    let incoming = models.join(format!(".{name}.incoming"));
    if incoming.exists() {
        fs::remove_dir_all(&incoming).context("cannot clear what an earlier try left")?;
    }
    fs::create_dir(&incoming).with_context(|| format!("cannot make {}", incoming.display()))?;
    let brought = bring(connection, args, &incoming).and_then(|()| check(args, &incoming));
    let (sha256, dimensions) = match brought {
        Ok(found) => found,
        Err(error) => {
            // What is incomplete is of no use, and would be in the way.
            drop(fs::remove_dir_all(&incoming));
            return Err(error);
        }
    };
    fs::rename(&incoming, &target).context("cannot give the model its name")?;
    if connection.json {
        return print::json(
            &json!({"name": name, "path": target, "sha256": sha256, "dimensions": dimensions}),
        );
    }
    print::line(format!(
        "{name}: {dimensions} floats per vector, sha256 of {WEIGHTS} {sha256}\n\
         To use it, in the configuration file:\n\n  [embed]\n  kind = \"local\"\n  model = \"{name}\"\n\n\
         A data directory that holds vectors of another model says so at the start, and how to go on."
    ))
}

fn bring(connection: &Connection, args: &PullArgs, into: &Path) -> Result<()> {
    match &args.from {
        Some(folder) => copy(folder, into),
        None => {
            let name = args.name.as_deref().unwrap_or_default();
            let hub = hub::Hub::new(&args.hub, name, &args.revision)?;
            block_on(hub.download(&FILES, into, connection.json))
        }
    }
}

fn copy(folder: &Path, into: &Path) -> Result<()> {
    for (file, is_needed) in FILES {
        let from = folder.join(file);
        if is_needed || from.exists() {
            fs::copy(&from, into.join(file))
                .with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    Ok(())
}

/// The hash of the weights and the length of a vector; the model is loaded and asked for one.
fn check(args: &PullArgs, folder: &Path) -> Result<(String, usize)> {
    let weights = fs::read(folder.join(WEIGHTS)).context("cannot read the weights")?;
    let sha256 = hex::encode(Sha256::digest(&weights));
    drop(weights);
    if let Some(wanted) = &args.sha256 {
        ensure!(
            wanted.eq_ignore_ascii_case(&sha256),
            "the sha256 of {WEIGHTS} is {sha256}, not {wanted}: nothing was kept"
        );
    }
    let model = LocalEmbedder::load(folder, None)?;
    model.vectors(&["telesift"], telesift_ports::embedder::Purpose::Passage)?;
    Ok((sha256, model.model().dimensions))
}

/// The folder's name: the last part of the hub's name, or that of the folder it is taken from.
fn name(args: &PullArgs) -> Result<String> {
    let named = match (&args.name, &args.from) {
        (Some(name), _) => name.rsplit('/').next().unwrap_or_default().to_owned(),
        (None, Some(folder)) => {
            let full = fs::canonicalize(folder)
                .with_context(|| format!("cannot open {}", folder.display()))?;
            full.file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default()
        }
        (None, None) => String::new(),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if named.is_empty() || named.starts_with('.') || !named.chars().all(is_plain) {
        bail!("`{named}` is no name for a model: letters, digits, `-`, `_` and `.` make one");
    }
    Ok(named)
}

fn list(connection: &Connection, models: &Path) -> Result<()> {
    let mut found: Vec<PathBuf> = match fs::read_dir(models) {
        Ok(entries) => entries.filter_map(|e| Some(e.ok()?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).context("cannot read the models"),
    };
    let is_model = |p: &PathBuf| {
        let name = p.file_name().unwrap_or_default().to_string_lossy();
        p.is_dir() && !name.starts_with('.')
    };
    found.retain(is_model);
    found.sort();
    for folder in &found {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let n_bytes = fs::metadata(folder.join(WEIGHTS)).map_or(0, |m| m.len());
        if connection.json {
            print::json(&json!({"name": name, "path": folder, "bytes": n_bytes}))?;
        } else {
            print::line(format!("{name}  {} MB", n_bytes.div_ceil(1_000_000)))?;
        }
    }
    if found.is_empty() && !connection.json {
        print::line(format!(
            "none in {}; `telesift models pull intfloat/multilingual-e5-small` brings one",
            models.display()
        ))?;
    }
    Ok(())
}
