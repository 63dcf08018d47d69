//! `telesift eval`: labels in, figures out; local, without a server.

mod extract;
mod screen;

use anyhow::Result;

use crate::cli::{Connection, EvalArgs, EvalWhat};

pub(crate) use screen::{read_labels, read_rules};

pub(crate) fn run(connection: Connection, args: EvalArgs) -> Result<()> {
    match args.what {
        EvalWhat::Screen {
            labels,
            rules,
            worst,
        } => screen::run(&connection, &labels, rules.as_deref(), worst),
        EvalWhat::Extract { labels, worst } => extract::run(&connection, &labels, worst),
    }
}
