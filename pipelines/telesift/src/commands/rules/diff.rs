//! `telesift rules diff`: a dry run under new rules, followed to its report.

use anyhow::Result;

use crate::{
    cli::{Connection, DiffArgs},
    client::Client,
    commands::{block_on, replay},
};

pub(super) fn run(connection: Connection, args: DiffArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    block_on(async {
        let id = replay::start(&client, "screen", true, &args.what).await?;
        replay::finish(&connection, &client, &id, args.samples).await
    })
}
