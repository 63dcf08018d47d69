//! `telesift rules diff`: a dry run under new rules, followed to its report.

use anyhow::Result;

use crate::{
    cli::{Connection, DiffArgs},
    client::Client,
    commands::{block_on, replay},
};

pub(super) fn run(connection: Connection, args: DiffArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    let asked = replay::comparison(&args.what)?;
    block_on(replay::run_through(
        &connection,
        &client,
        &asked,
        args.samples,
    ))
}
