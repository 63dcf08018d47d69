//! Layers of configuration: a key counts only where the defaults have it.

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

/// What the names of our environment variables start with.
pub(super) const ENV_PREFIX: &str = "TELESIFT__";

/// Puts the values of `over` into `base`, recursively. `at` is the dotted path of the table, for messages.
pub(super) fn merge(base: &mut Table, over: Table, at: &str) -> Result<()> {
    for (key, value) in over {
        let path = join(at, &key);
        if !base.contains_key(&key) {
            bail!("unknown key `{path}`{}", nearest(base, at, &key));
        }
        match (&mut base[&key], value) {
            (Value::Table(base), Value::Table(over)) => merge(base, over, &path)?,
            (Value::Table(_), _) => bail!("`{path}` is a section, not a value"),
            (slot, value) => *slot = value,
        }
    }
    Ok(())
}

/// Sets the key that `variable` names, such as `TELESIFT__SERVER__LISTEN`. The text is read as TOML where it is TOML of
/// the default's type, else as a string. A `__` parts sections, a `_` may stand for `-`.
pub(super) fn set_from_environment(table: &mut Table, variable: &str, text: &str) -> Result<()> {
    let path = variable
        .strip_prefix(ENV_PREFIX)
        .unwrap_or(variable)
        .to_lowercase();
    let parts: Vec<&str> = path.split("__").collect();
    let (last, sections) = parts.split_last().context("an empty variable name")?;
    let (mut table, mut at) = (table, String::new());
    for section in sections {
        let key = find(table, section).with_context(|| unknown(variable, table, &at, section))?;
        at = join(&at, &key);
        table = table[&key]
            .as_table_mut()
            .with_context(|| format!("{variable}: `{at}` is not a section"))?;
    }
    let key = find(table, last).with_context(|| unknown(variable, table, &at, last))?;
    let slot = &mut table[&key];
    *slot = match (&*slot, format!("value = {text}").parse::<Table>()) {
        (Value::String(_), _) => Value::String(text.to_owned()),
        (_, Ok(mut parsed)) => parsed
            .remove("value")
            .unwrap_or_else(|| Value::String(text.to_owned())),
        (_, Err(_)) => Value::String(text.to_owned()),
    };
    Ok(())
}

fn find(table: &Table, name: &str) -> Option<String> {
    [name.to_owned(), name.replace('_', "-")]
        .into_iter()
        .find(|k| table.contains_key(k))
}

fn unknown(variable: &str, table: &Table, at: &str, key: &str) -> String {
    format!(
        "{variable} names no configuration key{}",
        nearest(table, at, key)
    )
}

fn nearest(table: &Table, at: &str, key: &str) -> String {
    table
        .keys()
        .max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)))
        .map(|name| format!("; did you mean `{}`?", join(at, name)))
        .unwrap_or_default()
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.to_owned()
    } else {
        format!("{at}.{key}")
    }
}
