//! `telesift rules check`: without a server, by the code that stands in the SmartModule.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::json;
use telesift_engine::NativeRules;
use telesift_ports::{
    RuleReader,
    rules::{InvalidRules, RuleSource},
};

use crate::{cli::Connection, commands::print};

pub(super) fn run(connection: &Connection, file: &Path) -> Result<()> {
    let (text, is_json) = super::read(file)?;
    let source = match is_json {
        true => RuleSource::Json(&text),
        false => RuleSource::Toml(&text),
    };
    let checked = NativeRules.read(source);
    if connection.json {
        print::json(&match &checked {
            Ok(set) => json!({"valid": true, "version": set.version}),
            Err(InvalidRules { line, reason }) => {
                json!({"valid": false, "line": line, "reason": reason})
            }
        })?;
    }
    match checked {
        Ok(_) if connection.json => Ok(()),
        Ok(set) => print::line(format!("{}: valid, {}", file.display(), set.version)),
        Err(InvalidRules { line, reason }) => match line {
            Some(line) => bail!("{}:{line}: {reason}", file.display()),
            None => bail!("{}: {reason}", file.display()),
        },
    }
}
