//! MessageStore on LanceDB; the only crate that knows lancedb, arrow and datafusion.
