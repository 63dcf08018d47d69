//! Catalog on SQLite and Postgres through one text per query.
