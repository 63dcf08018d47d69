//! The guest: every record leaves as a message, a skip or a failure, and keeps its key.

use crate::normalize_into;

telesift_guest::map!(normalize_into);
