//! Counts per pane: the widest pieces of time that every window is made of.

use std::collections::HashMap;

use telesift_schemas::Timestamp;

/// Counts by pane, ascending; a pane is numbered by its start over its width.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Panes(Vec<(i64, u64)>);

/// The panes before an end: those of a window, and those of the time it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The first pane after it.
    pub(crate) end: i64,
    /// In its panes.
    pub(crate) messages: u64,
    /// In the panes before those.
    pub(crate) before: u64,
}

impl Panes {
    /// Counts `n` more in the pane; at no cost to speak of where panes come in order.
    pub fn add(&mut self, pane: i64, n: u64) {
        match self.0.last_mut() {
            Some((last, sum)) if *last == pane => *sum += n,
            Some((last, _)) if *last > pane => {
                match self.0.binary_search_by_key(&pane, |(known, _)| *known) {
                    Ok(place) => self.0[place].1 += n,
                    Err(place) => self.0.insert(place, (pane, n)),
                }
            }
            _ => self.0.push((pane, n)),
        }
    }

    /// The sum of the panes `from..to`.
    pub(crate) fn sum(&self, from: i64, to: i64) -> u64 {
        let start = self.0.partition_point(|(pane, _)| *pane < from);
        let within = self.0[start..].iter().take_while(|(pane, _)| *pane < to);
        within.map(|(_, n)| n).sum()
    }

    /// Every window of `width` panes that has one of these in it, ascending, each beside the `before` panes before it.
    pub(crate) fn windows(&self, width: i64, before: i64) -> impl Iterator<Item = Window> {
        let panes = &self.0;
        // The first panes of the time before, of the window, and after it.
        let (mut old, mut from, mut to) = (0, 0, 0);
        let mut window = Window {
            end: panes.first().map_or(0, |(pane, _)| *pane),
            messages: 0,
            before: 0,
        };
        std::iter::from_fn(move || {
            window.end += 1;
            while from < to && panes[from].0 < window.end - width {
                window.messages -= panes[from].1;
                window.before += panes[from].1;
                from += 1;
            }
            if from == to {
                window.end = panes.get(to)?.0 + 1;
            }
            while let Some((pane, n)) = panes.get(to)
                && *pane < window.end
            {
                window.messages += n;
                to += 1;
            }
            while old < from && panes[old].0 < window.end - width - before {
                window.before -= panes[old].1;
                old += 1;
            }
            Some(window)
        })
    }
}

/// Counts by pane of whatever has a name.
#[derive(Debug, Default)]
pub(crate) struct ByName(HashMap<String, Panes>);

impl ByName {
    /// Counts one more.
    pub(crate) fn add(&mut self, name: &str, pane: i64) {
        match self.0.get_mut(name) {
            Some(panes) => panes.add(pane, 1),
            None => self.0.entry(name.to_owned()).or_default().add(pane, 1),
        }
    }

    /// All of them, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Panes)> {
        self.0.iter().map(|(name, panes)| (name.as_str(), panes))
    }
}

/// The pane of `width_s` seconds a moment lies in.
pub(crate) fn pane_of(at: Timestamp, width_s: i64) -> i64 {
    floor_s(at).div_euclid(width_s)
}

/// Unix seconds, rounded down also before 1970.
pub(crate) fn floor_s(at: Timestamp) -> i64 {
    at.as_microsecond().div_euclid(1_000_000)
}

/// The start of a pane.
pub(crate) fn start_of(pane: i64, width_s: i64) -> Timestamp {
    at_s(pane.saturating_mul(width_s))
}

/// The moment at unix second `s`, or as near to it as there is one.
pub(crate) fn at_s(s: i64) -> Timestamp {
    let nearest = if s < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(s).unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some panes of few messages, near each other and far apart, in any order.
    fn scattered(seed: u64) -> Vec<i64> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i64
        };
        let n = next() % 40;
        (0..n)
            .map(|_| next() % 25 - 12 + 100 * (next() % 3))
            .collect()
    }

    #[test]
    fn windows_are_the_sums_of_their_panes() {
        for seed in 0..500 {
            let (added, mut panes) = (scattered(seed), Panes::default());
            for pane in &added {
                panes.add(*pane, 1);
            }
            let within =
                |from: i64, to: i64| added.iter().filter(|p| (from..to).contains(p)).count() as u64;
            for (width, before) in [(4, 4), (1, 8), (3, 1)] {
                let found: Vec<Window> = panes.windows(width, before).collect();
                let expected = (-20..300).filter_map(|end| {
                    let messages = within(end - width, end);
                    let before = within(end - width - before, end - width);
                    (messages > 0).then_some(Window {
                        end,
                        messages,
                        before,
                    })
                });
                assert_eq!(found, expected.collect::<Vec<_>>(), "{added:?}");
            }
            assert_eq!(panes.sum(-5, 105), within(-5, 105), "{added:?}");
        }
    }
}
