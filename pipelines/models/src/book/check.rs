//! What is refused of a provider before anybody is asked.

use telesift_ports::providers::{NewProvider, ProviderError};

const MAX_NAME: usize = 64;
const MAX_MODEL: usize = 200;
const MAX_KEY: usize = 1_000;

pub(super) fn invalid(field: &'static str, reason: impl ToString) -> ProviderError {
    ProviderError::Invalid {
        field,
        reason: reason.to_string(),
    }
}

/// All that can be told without asking anybody.
pub(super) fn fields(new: &NewProvider) -> Result<(), ProviderError> {
    // The name stands in URLs, metrics and records.
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let begins_well = new.name.bytes().next();
    let begins_well = begins_well.is_some_and(|b| b.is_ascii_alphanumeric());
    if !begins_well || new.name.len() > MAX_NAME || !new.name.bytes().all(is_plain) {
        let reason = "expected 1 to 64 of `A-Z a-z 0-9 _ - .`, beginning with a letter or digit";
        return Err(invalid("name", reason));
    }
    if new.name == "rules" {
        return Err(invalid("name", "`rules` are the built-in ones"));
    }
    let is_model = !new.model.trim().is_empty() && new.model.len() <= MAX_MODEL;
    if !is_model || new.model.contains(char::is_control) {
        return Err(invalid("model", "expected the provider's name of a model"));
    }
    let is_key =
        |key: &str| (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if new.key.as_ref().is_some_and(|k| !is_key(k.expose())) {
        let reason =
            "expected 1 to 1000 visible ASCII characters; leave it out where none is needed";
        return Err(invalid("key", reason));
    }
    match new.terms.fault() {
        Some((field, reason)) => Err(invalid(field, reason)),
        None => Ok(()),
    }
}
