//! The guest: the rules are read once, in `init`; without a param they are those that ship.

use std::sync::OnceLock;

use telesift_guest::Params;

use crate::{Rules, record::score_record_into};

telesift_guest::init!(init);
telesift_guest::map!(|value, out| score_record_into(value, rules(), out));

static RULES: OnceLock<Rules> = OnceLock::new();

fn rules() -> &'static Rules {
    RULES.get_or_init(Rules::default)
}

fn init(params: &Params) -> Result<(), String> {
    if let Some(json) = params.get("rules") {
        let rules = Rules::from_json(json).map_err(|error| format!("param `rules`: {error}"))?;
        // Called once per instance; a second call keeps the first rules.
        let _ = RULES.set(rules);
    }
    // Now, not within the first batch.
    rules();
    Ok(())
}
