//! SmartModule normalize: a raw record becomes a message, or a skip with its reason.
