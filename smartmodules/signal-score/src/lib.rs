//! SmartModule signal-score: score, class and named factors of a message.
