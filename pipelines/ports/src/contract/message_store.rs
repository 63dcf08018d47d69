//! What every message store must do: one named check per behaviour, each on an empty store of [`model`].
//!
//! A new implementation runs them all:
//! ```ignore
//! async fn open() -> (MemoryStore, ()) {
//!     (MemoryStore::new(Some(model())), ())
//! }
//! telesift_ports::message_store_contract!(open);
//! ```

mod apply;
pub mod fixtures;
mod labels;
mod read;
mod search;
mod vectors;

pub use apply::*;
pub use fixtures::model;
pub use labels::*;
pub use read::*;
pub use search::*;
pub use vectors::*;

/// One `#[tokio::test]` per check of the suite. `$open` is an `async fn() -> (impl MessageStore, K)` that opens an empty
/// store for vectors of [`model`](crate::contract::message_store::model); `K` is kept until the check is over (a
/// temporary directory, say).
#[macro_export]
macro_rules! message_store_contract {
    ($open:path) => {
        $crate::message_store_contract! { $open:
            new_messages_become_current
            the_same_batch_again_changes_nothing
            an_edit_replaces_and_keeps_the_old_version
            an_older_version_is_kept_as_superseded
            of_equal_edits_the_later_origin_is_current
            several_versions_in_one_batch
            the_order_within_a_batch_does_not_matter
            versions_in_any_order_end_in_the_same_state
            message_ids_are_those_of_the_chat
            what_cannot_be_stored_is_rejected_by_key
            an_empty_batch_changes_nothing
            gets_many_in_the_order_asked_for
            lists_newest_first_in_pages
            pages_are_stable_under_inserts
            lists_what_the_filter_rule_lets_through
            context_gives_the_neighbours_in_the_chat
            counts_classes_by_time_and_chat
            names_the_noisiest_chats
            sums_up_chats
            finds_a_fresh_message_at_once
            finds_messages_in_five_languages
            finds_another_inflection
            finds_long_words_but_no_parts_of_words
            finds_what_a_medium_is_described_by
            does_not_find_what_was_edited_away
            phrases_are_required_and_minus_words_excluded
            required_words_are_found_behind_many_better_hits
            a_selective_filter_still_fills_the_limit
            searches_what_the_filter_rule_lets_through
            deleted_messages_are_found_only_when_asked_for
            a_query_without_words_finds_nothing
            answers_any_text
            maintenance_changes_no_answer
            vectors_rank_by_cosine
            a_missing_vector_is_filled_later
            tells_what_waits_for_a_vector
            a_message_without_vector_is_found_by_text
            what_is_kept_here_waits_for_no_vector
            a_vector_of_another_length_is_refused
            hybrid_ranks_first_what_both_legs_find
            a_larger_limit_only_adds_hits
            a_label_goes_before_the_screen
            a_label_taken_back_leaves_the_screen
            a_label_is_of_one_version
            the_same_version_again_keeps_its_label
            a_later_decision_is_never_undone_by_an_earlier_one
            labels_filter_and_count_as_if_screened_so
            labels_outlive_maintenance
        }
    };
    ($open:path: $($check:ident)*) => {
        $(
            #[tokio::test]
            async fn $check() {
                let (store, _keep) = $open().await;
                $crate::contract::message_store::$check(&store).await;
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    use crate::memory::MemoryStore;

    async fn open() -> (MemoryStore, ()) {
        (MemoryStore::new(Some(super::model())), ())
    }

    crate::message_store_contract!(open);
}
