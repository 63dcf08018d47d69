//! `RecordLog` on a Fluvio cluster.
