//! Learned numbers into a rule file: every comment and every other line stays.

use toml_edit::{DocumentMut, Item, TomlError, value};

use crate::train::Trained;

/// The rule file with the numbers of `trained` in place of its own.
///
/// # Errors
/// When the file is no TOML.
pub fn with_learned(file: &str, trained: &Trained) -> Result<String, TomlError> {
    let mut document: DocumentMut = file.parse()?;
    let mut set = |table: Option<&str>, key: &str, number: f64| {
        let item = match table {
            Some(table) => &mut document[table][key],
            None => &mut document[key],
        };
        replace(item, number);
    };
    set(None, "bias", trained.bias);
    set(Some("thresholds"), "weak_signal", trained.thresholds.0);
    set(Some("thresholds"), "signal", trained.thresholds.1);
    for (factor, weight) in &trained.weights {
        set(Some("weights"), factor.name(), *weight);
    }
    set(Some("spam"), "bias", trained.spam_bias);
    for (cue, weight) in &trained.spam_weights {
        set(Some("spam"), cue.name(), *weight);
    }
    Ok(document.to_string())
}

fn replace(item: &mut Item, number: f64) {
    let decor = item.as_value().map(|old| old.decor().clone());
    *item = value(number);
    if let (Some(new), Some(decor)) = (item.as_value_mut(), decor) {
        *new.decor_mut() = decor;
    }
}
