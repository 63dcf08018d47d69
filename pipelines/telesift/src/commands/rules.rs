//! `telesift rules`: rule sets, and what they would change.

mod diff;

use anyhow::Result;

use crate::cli::{Connection, RulesAction, RulesArgs};

pub(crate) fn run(connection: Connection, args: RulesArgs) -> Result<()> {
    match args.action {
        RulesAction::Diff(args) => diff::run(connection, args),
    }
}
