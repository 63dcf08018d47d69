//! Which texts are encoded together: those of like length, so that little is padding.

/// Tokens of one batch, padding included. Large enough for the matrix products to run at full speed, small enough for
/// all cores to have one each and for the intermediate values to stay in the cache.
const MAX_TOKENS: usize = 1_024;

/// The indexes of `texts`, by falling length, in batches of at most [`MAX_TOKENS`] tokens (a longer text is a batch of its
/// own). The longest come first, so that no core ends with a long one while the others wait.
pub(super) fn by_length(texts: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(texts[i].len()), i));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut longest = 0;
    for i in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * longest <= MAX_TOKENS => batch.push(i),
            _ => {
                longest = texts[i].len();
                batches.push(vec![i]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_lengths_share_a_batch_and_every_text_is_in_one() {
        let texts: Vec<Vec<u32>> = (0..500).map(|i| vec![1; 1 + (i * 37) % 250]).collect();
        let batches = by_length(&texts);
        let mut all: Vec<usize> = batches.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..500).collect::<Vec<_>>());
        for batch in &batches {
            let longest = batch.iter().map(|&i| texts[i].len()).max().unwrap();
            assert!(batch.len() == 1 || batch.len() * longest <= MAX_TOKENS);
        }
        let padded: usize = batches.iter().map(|b| b.len() * texts[b[0]].len()).sum();
        let real: usize = texts.iter().map(Vec::len).sum();
        assert!(padded * 10 <= real * 11, "{padded} of {real}");
    }

    #[test]
    fn a_text_longer_than_a_batch_stands_alone() {
        let texts = vec![vec![1; 3 * MAX_TOKENS], vec![1; 2]];
        assert_eq!(by_length(&texts), [vec![0], vec![1]]);
        assert!(by_length(&[]).is_empty());
    }
}
