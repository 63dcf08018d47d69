//! The guest: the filter is made once, in `init`.

use std::sync::OnceLock;

use telesift_guest::Params;

use crate::NoiseFilter;

telesift_guest::init!(init);
telesift_guest::filter!(|value| FILTER.get_or_init(NoiseFilter::default).passes(value));

static FILTER: OnceLock<NoiseFilter> = OnceLock::new();

fn init(params: &Params) -> Result<(), String> {
    let get = |name| params.get(name).map(String::as_str);
    let filter =
        NoiseFilter::from_params(get("class"), get("min_score")).map_err(|e| e.to_string())?;
    // Called once per instance; a second call keeps the first filter.
    let _ = FILTER.set(filter);
    Ok(())
}
