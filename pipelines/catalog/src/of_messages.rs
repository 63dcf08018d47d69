//! Rows of many messages at once, asked for in portions of one size, so that one statement serves every list.

use std::sync::LazyLock;

use telesift_ports::catalog::Result;
use telesift_schemas::MessageKey;

use crate::{
    SqlCatalog,
    row::{Arg, Row},
};

/// Messages one query asks for; a shorter list repeats its last one.
const PORTION: usize = 250;

/// `select`, of the rows of as many messages as one query asks for.
pub(crate) fn of_messages(select: &str) -> String {
    let pairs: Vec<String> = (0..PORTION)
        .map(|i| format!("(${}, ${})", 2 * i + 1, 2 * i + 2))
        .collect();
    let pairs = pairs.join(", ");
    format!("{select} WHERE (chat_id, message_id) IN (VALUES {pairs})")
}

impl SqlCatalog {
    /// What `sql`, made by [`of_messages`], gives for these messages, in no particular order.
    pub(crate) async fn read_of_messages<T>(
        &self,
        sql: &'static LazyLock<String>,
        messages: &[MessageKey],
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut wanted = messages.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut found = Vec::new();
        for part in wanted.chunks(PORTION) {
            let rest = part.last().into_iter().cycle().take(PORTION - part.len());
            let args = part.iter().chain(rest);
            let args = args.flat_map(|key| [Arg::from(key.chat.0), Arg::from(key.message_id)]);
            for row in &self.database.read(sql, args.collect()).await? {
                found.push(read(row)?);
            }
        }
        Ok(found)
    }
}
