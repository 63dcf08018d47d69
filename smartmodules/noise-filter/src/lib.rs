//! SmartModule noise-filter: passes messages by class and score.
