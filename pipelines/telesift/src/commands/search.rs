//! `telesift search`: the best hits of a query.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use super::{block_on, filters, print};
use crate::{
    cli::{Connection, SearchArgs},
    client::Client,
};

pub(crate) fn run(connection: Connection, args: SearchArgs) -> Result<()> {
    let client = Client::find(&connection)?;
    let mut filter = filters::object(&args.filters);
    if !args.subjects.is_empty() {
        filter["subjects"] = json!(args.subjects);
    }
    let body = json!({
        "query": args.query, "mode": args.mode, "filter": filter, "limit": args.limit,
    });
    let answer: Value =
        block_on(client.json(client.request(Method::POST, "/v1/search").json(&body)))?;
    if connection.json {
        return print::json(&answer);
    }
    let hits = answer["hits"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for hit in hits {
        print::line(print::message(&hit["message"]))?;
    }
    let noise = if args.filters.include_noise {
        ""
    } else {
        " (noise left out; --include-noise searches it too)"
    };
    print::line(format!(
        "{} hits in {} ms{noise}",
        hits.len(),
        answer["took_ms"]
    ))
}
