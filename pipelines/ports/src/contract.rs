//! One suite per port, run by every implementation, the in-memory one too.
