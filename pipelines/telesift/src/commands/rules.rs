//! `telesift rules`: list, show, check, compare, learn, add, activate, roll back.

mod activate;
mod add;
mod check;
mod diff;
mod history;
mod learn;
mod list;
mod show;

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    cli::{Connection, RulesAction, RulesArgs},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: RulesArgs) -> Result<()> {
    match args.action {
        RulesAction::Learn(args) => learn::run(&connection, &args),
        RulesAction::Diff(args) => diff::run(connection, args),
        RulesAction::Check { file } => check::run(&connection, &file),
        RulesAction::List => list::run(&connection, &Client::find(&connection)?),
        RulesAction::Show { version } => {
            show::run(&connection, &Client::find(&connection)?, version.as_deref())
        }
        RulesAction::Add { file, note } => {
            add::run(&connection, &Client::find(&connection)?, &file, note)
        }
        RulesAction::Activate {
            version,
            from,
            note,
        } => activate::run(
            &connection,
            &Client::find(&connection)?,
            &version,
            &from,
            note,
        ),
        RulesAction::History { limit } => {
            history::run(&connection, &Client::find(&connection)?, limit)
        }
    }
}

/// The path of a rule set; what the user typed cannot leave its segment.
fn path_of(version: &str) -> String {
    let mut path = String::from("/v1/rules/");
    for byte in version.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                path.push(char::from(byte));
            }
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

/// The text of a rule file, and whether it is JSON.
fn read(file: &Path) -> Result<(String, bool)> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let is_json = file
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    Ok((text, is_json))
}

/// `0:124 1:7` of a list of positions.
fn positions(from: &Value) -> String {
    let from = from.as_array().map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<String> = from
        .iter()
        .map(|at| format!("{}:{}", at["partition"], at["offset"]))
        .collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stays_within_its_segment() {
        assert_eq!(path_of("ops@2+0a"), "/v1/rules/ops%402%2B0a");
        assert_eq!(path_of("../keys?x#"), "/v1/rules/..%2Fkeys%3Fx%23");
    }
}
