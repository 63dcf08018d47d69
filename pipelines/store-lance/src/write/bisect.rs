//! Finds the message for which a batch is refused, so that the others can be stored and it can be set aside.

use telesift_ports::message_store::{Applied, Error, IndexedMessage, Result};

use crate::error::{Attempt, Fault};

/// A batch on its way into the store: whole at first and, if that is refused, by halves, down to the single message that
/// is refused.
///
/// Not a function that takes the attempt as a closure: the futures of such closures cannot be shown to be `Send`.
pub(super) struct Parts {
    /// A stack instead of recursion; the parts on it are disjoint, so it holds the batch once.
    left: Vec<Vec<IndexedMessage>>,
    total: Applied,
}

impl Parts {
    pub(super) fn of(batch: Vec<IndexedMessage>) -> Self {
        Parts {
            left: vec![batch],
            total: Applied::default(),
        }
    }

    /// The next part to try.
    pub(super) fn next(&mut self) -> Option<Vec<IndexedMessage>> {
        self.left.pop()
    }

    /// Takes note of how `part` fared.
    ///
    /// # Errors
    /// [`Error::Rejected`] with the first message that is refused alone; what stands before it is stored by then, which
    /// is safe because the batch without it can be applied again.
    pub(super) fn settle(&mut self, part: &[IndexedMessage], done: Attempt<Applied>) -> Result<()> {
        match done {
            Ok(applied) => self.total = sum(self.total, applied),
            Err(Fault::Refused(reason)) => match part {
                [] => {}
                [one] => {
                    return Err(Error::Rejected {
                        key: one.message.id,
                        reason,
                    });
                }
                _ => {
                    let (first, second) = part.split_at(part.len() / 2);
                    self.left.push(second.to_vec());
                    self.left.push(first.to_vec());
                }
            },
            Err(fault) => return Err(fault.into()),
        }
        Ok(())
    }

    /// What all parts did together.
    pub(super) fn total(&self) -> Applied {
        self.total
    }
}

fn sum(a: Applied, b: Applied) -> Applied {
    Applied {
        n_new: a.n_new + b.n_new,
        n_replaced: a.n_replaced + b.n_replaced,
        n_older: a.n_older + b.n_older,
        n_known: a.n_known + b.n_known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesift_ports::contract::message_store::fixtures::{key, message, plain};

    fn batch() -> Vec<IndexedMessage> {
        (1..=9).map(|i| plain(message(1, i, "text"))).collect()
    }

    fn attribute(mut apply: impl FnMut(&[IndexedMessage]) -> Attempt<Applied>) -> Result<Applied> {
        let mut parts = Parts::of(batch());
        while let Some(part) = parts.next() {
            let done = apply(&part);
            parts.settle(&part, done)?;
        }
        Ok(parts.total())
    }

    #[test]
    fn a_refusal_names_the_message_it_is_for() {
        let mut stored = Vec::new();
        let result = attribute(|part| {
            if part.iter().any(|i| i.message.message_id == 6) {
                return Err(Fault::Refused("too odd".to_owned()));
            }
            stored.extend(part.iter().map(|i| i.message.message_id));
            Ok(Applied::default())
        });
        match result {
            Err(Error::Rejected { key: at, .. }) => assert_eq!(at, key(1, 6)),
            other => panic!("expected a rejection, got {other:?}"),
        }
        assert_eq!(stored, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_only_fails_together_is_stored_in_parts() {
        let applied = attribute(|part| {
            if part.len() > 3 {
                return Err(Fault::Refused("too much".to_owned()));
            }
            Ok(Applied {
                n_new: part.len(),
                ..Applied::default()
            })
        });
        assert_eq!(applied.expect("parts are stored").n_new, 9);
    }

    #[test]
    fn failing_storage_is_nobodys_fault() {
        let mut n_attempts = 0;
        let result = attribute(|_| {
            n_attempts += 1;
            Err(Fault::Unavailable("no disk".to_owned()))
        });
        assert!(result.is_err_and(|e| e.is_retryable()));
        assert_eq!(n_attempts, 1);
    }
}
