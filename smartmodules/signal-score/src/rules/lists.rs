//! The word lists a rule set may hold.

use crate::{
    Factor,
    factors::{CHATTER_WORDS, SIGNAL_WORDS},
    lexicon::Lists,
};

macro_rules! lists {
    ($($variant:ident,)*; $($own:ident = $name:literal,)*) => {
        /// A word list: that of a factor, or one of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum List { $($variant,)* $($own,)* }

        impl List {
            pub(crate) const ALL: &'static [List] = &[$(List::$variant,)* $(List::$own,)*];

            /// The factor it makes, if it makes one.
            pub(crate) fn factor(self) -> Option<Factor> {
                match self { $(List::$variant => Some(Factor::$variant),)* $(List::$own => None,)* }
            }

            /// The list of a factor.
            pub(crate) fn of(factor: Factor) -> Option<Self> {
                match factor { $(Factor::$variant => Some(List::$variant),)* _ => None }
            }

            pub(crate) fn name(self) -> &'static str {
                match self { $(List::$variant => Factor::$variant.name(),)* $(List::$own => $name,)* }
            }
        }
    };
}

lists! {
    Change, Deadline, Decision, Incident, Money, Problem, Request, Security, Tech,
    Acknowledgement, Greeting, Laughter, Promotion, Smalltalk, Thanks, Wishes,
    ;
    Filler = "filler",
    Spam = "spam",
    Contact = "contact",
    Period = "period",
}

impl List {
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// Its bit in [`Lists`].
    pub(crate) const fn bit(self) -> Lists {
        1 << self as u32
    }

    /// Lists whose words matter, whatever other list they stand in.
    pub(crate) const SIGNAL: Lists = bits(0, SIGNAL_WORDS.len());

    /// Lists whose words say nothing.
    pub(crate) const CHATTER_OR_FILLER: Lists =
        bits(SIGNAL_WORDS.len(), CHATTER_WORDS.len()) | List::Filler.bit();
}

const fn bits(from: usize, n: usize) -> Lists {
    ((1 << n) - 1) << from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_signal_and_chatter_are_those_of_the_factors() {
        let of = |lists: Lists| -> Vec<Factor> {
            let in_it = List::ALL.iter().filter(|list| lists & list.bit() != 0);
            in_it.filter_map(|list| list.factor()).collect()
        };
        assert_eq!(of(List::SIGNAL), SIGNAL_WORDS);
        assert_eq!(of(List::CHATTER_OR_FILLER), CHATTER_WORDS);
        assert!(List::COUNT <= Lists::BITS as usize);
    }
}
