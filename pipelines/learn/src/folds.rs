//! Which part of the labels an example belongs to: by a hash of its text, so that equal texts never stand on both sides.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The fold of a text among `n_folds`: xxh3 of its characters but for case and white space, modulo `n_folds`.
pub fn fold_of(text: &str, n_folds: u64) -> u64 {
    fold_by(0, text, n_folds)
}

/// [`fold_of`] by another hash: the same labels, dealt out anew for each `seed`; 0 deals as [`fold_of`] does.
pub fn fold_by(seed: u64, text: &str, n_folds: u64) -> u64 {
    let plain: String = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect();
    xxh3_64_with_seed(plain.as_bytes(), seed) % n_folds.max(1)
}

/// Splits by fold: what is in `fold` of `n_folds`, and the rest.
pub fn split<T>(
    examples: &[T],
    text: impl Fn(&T) -> &str,
    fold: u64,
    n_folds: u64,
) -> (Vec<&T>, Vec<&T>) {
    examples
        .iter()
        .partition(|example| fold_of(text(example), n_folds) == fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_a_fold_and_folds_are_about_even() {
        assert_eq!(fold_of("Прод ліг", 5), fold_of("прод  ліг ", 5));
        let mut n = [0; 5];
        for i in 0..5000 {
            n[fold_of(&format!("повідомлення {i}"), 5) as usize] += 1;
        }
        assert!(n.iter().all(|n| (850..1150).contains(n)), "{n:?}");
    }
}
