//! What makes a claim, or a subject, the same as another: ids, and likeness by words. Pure.

use std::collections::BTreeSet;

use telesift_ports::{knowledge::AtomClaim, record_log::UniqueKey};
use telesift_schemas::{AtomKind, DraftAtom, Quote};

/// Share of the words of two quotes that must be common for a claim extracted again to be the same one.
const SAME_QUOTE: f64 = 0.5;

/// The id of a claim: of its unit, its kind, and the first words it stands on.
pub fn atom_id(unit: &str, kind: AtomKind, first: &Quote) -> String {
    let message = first.message.to_string();
    id(
        "a",
        &["atom", unit, kind.as_str(), &message, first.quote.trim()],
    )
}

/// What a subject's name comes to: its stems, whatever their order, case and inflection.
pub fn subject_key(name: &str) -> String {
    let terms: BTreeSet<String> = telesift_text::terms(name).into_iter().collect();
    match terms.is_empty() {
        true => telesift_text::fold(name.trim()),
        false => terms.into_iter().collect::<Vec<_>>().join(" "),
    }
}

/// The id of the subject of this key.
pub fn subject_id(key: &str) -> String {
    id("s", &["subject", key])
}

fn id(letter: &str, parts: &[&str]) -> String {
    let UniqueKey(hash) = UniqueKey::new("knowledge", parts);
    let hex: String = hash[..8].iter().map(|b| format!("{b:02x}")).collect();
    format!("{letter}-{hex}")
}

/// Whether what is extracted now says what was extracted before from the same unit: the same title, or much the same words of
/// the same message.
pub(super) fn is_same(draft: &DraftAtom, before: &AtomClaim) -> bool {
    if draft.kind != before.kind {
        return false;
    }
    let words =
        |text: &str| -> BTreeSet<String> { telesift_text::terms(text).into_iter().collect() };
    let title = words(&draft.title);
    if !title.is_empty() && title == words(&before.title) {
        return true;
    }
    let (Some(now), Some(then)) = (draft.evidence.first(), before.evidence.first()) else {
        return false;
    };
    let (a, b) = (words(&now.quote), words(&then.quote));
    let n_all = a.union(&b).count();
    now.message == then.message
        && n_all > 0
        && a.intersection(&b).count() as f64 / n_all as f64 >= SAME_QUOTE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_the_same_whatever_the_order_case_and_inflection_of_their_words() {
        for (a, b) in [
            ("Оплата карткою", "оплату картка"),
            ("Server database", "database servers"),
            ("База данных", "базы данных"),
        ] {
            assert_eq!(subject_key(a), subject_key(b), "{a} / {b}");
        }
        for (a, b) in [("Оплата", "Доставка"), ("database", "data"), ("C", "C++")] {
            assert_ne!(subject_key(a), subject_key(b), "{a} / {b}");
        }
        assert_eq!(subject_key("🚀"), subject_key(" 🚀 "));
    }
}
