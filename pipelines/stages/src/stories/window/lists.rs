//! Ascending numbers under keys: pushed at one end, popped at the other.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    hash::Hash,
};

/// For each key the numbers of the slots that have it.
pub(super) struct Lists<K>(HashMap<K, VecDeque<u64>>);

impl<K> Default for Lists<K> {
    fn default() -> Self {
        Lists(HashMap::new())
    }
}

impl<K: Eq + Hash> Lists<K> {
    /// Adds `n`, the greatest so far.
    pub(super) fn push(&mut self, key: K, n: u64) {
        self.0.entry(key).or_default().push_back(n);
    }

    /// Takes off the smallest.
    pub(super) fn pop(&mut self, key: &K)
    where
        K: Clone,
    {
        if let Entry::Occupied(mut list) = self.0.entry(key.clone()) {
            list.get_mut().pop_front();
            if list.get().is_empty() {
                list.remove();
            }
        }
    }

    /// The numbers under `key`, greatest first.
    pub(super) fn newest<'a>(&'a self, key: &K) -> impl Iterator<Item = u64> + use<'a, K> {
        self.0.get(key).into_iter().flatten().rev().copied()
    }
}
