//! What fills a generation and keeps it up to date: `telegram-raw -> screen -> messages -> index, stories`, once per
//! generation, each part by stages of its own.

mod busy;
mod line;
mod models;
mod pace;
mod positions;
mod stores;
mod take_over;
mod upkeep;

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use telesift_schemas::Generation;

pub use line::{Line, LineConfig, LineParts};
pub use models::Models;
pub use pace::Pace;
pub use positions::{Wanted, positions, reached};
pub(crate) use positions::{screened, stages_of, state_of};
pub use stores::{LiveEmbedder, LiveStore, OpenStores};
pub(crate) use take_over::{TAKE_OVER, is_done as take_over_is_done};
pub use upkeep::{Upkeep, UpkeepConfig};

/// A stage's name in a generation, for ledger, logs and metrics: `screen-g2`. The names live as long as the process; there
/// are a handful per generation.
pub fn stage_name(stage: &'static str, generation: Generation) -> &'static str {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    if generation == Generation::FIRST {
        return stage;
    }
    let name = generation.name(stage);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    match names.get(name.as_str()) {
        Some(known) => known,
        None => {
            let name: &'static str = Box::leak(name.into_boxed_str());
            names.insert(name);
            name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_called_the_same_each_time() {
        assert_eq!(stage_name("screen", Generation::FIRST), "screen");
        let second = stage_name("screen", Generation(2));
        assert_eq!(second, "screen-g2");
        assert!(std::ptr::eq(second, stage_name("screen", Generation(2))));
    }
}
