//! Unwanted advertising and fraud: a score of its own, judged apart from importance.

use crate::{
    Rules,
    analysis::Analysis,
    factors::{density, two_decimals},
    model,
    rules::List,
};

macro_rules! cues {
    ($($variant:ident = $name:literal,)*) => {
        /// A cue of spam, in the order they are added up: by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names say it; README.md describes them")]
        pub enum SpamCue { $($variant,)* }

        impl SpamCue {
            /// All cues, by name.
            pub const ALL: &'static [SpamCue] = &[$(SpamCue::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
            /// The name in rules.
            pub const fn name(self) -> &'static str {
                match self { $(SpamCue::$variant => $name,)* }
            }
        }
    };
}

cues! {
    Caps = "caps",
    Contact = "contact",
    Disguise = "disguise",
    Emoji = "emoji",
    Invite = "invite",
    Link = "link",
    Mention = "mention",
    Model = "model",
    Money = "money",
    Pay = "pay",
    Words = "words",
}

/// The values of all cues, by `SpamCue as usize`.
pub(crate) type CueValues = [f64; SpamCue::COUNT];

/// What each cue measures in the text.
pub(crate) fn values(text: &Analysis) -> CueValues {
    std::array::from_fn(|i| value(text, SpamCue::ALL[i]))
}

/// The log-odds that a text with these cues is spam.
pub(crate) fn logit(values: &CueValues, rules: &Rules) -> f64 {
    let mut logit = rules.spam_bias();
    for &cue in SpamCue::ALL {
        logit += values[cue as usize] * rules.spam_weight(cue);
    }
    logit
}

/// Up to this many content words, a word of the list counts in full: advertising is short, financial news is not.
const DENSE_WORDS: f64 = 16.0;

fn value(text: &Analysis, cue: SpamCue) -> f64 {
    let flag = |on| if on { 1.0 } else { 0.0 };
    let up_to_three = |n: u32| f64::from(n.min(3));
    match cue {
        SpamCue::Caps => flag(text.is_shouting()),
        SpamCue::Contact => f64::from(text.distinct_of(List::Contact).min(2)),
        SpamCue::Disguise => up_to_three(text.n_disguised),
        SpamCue::Emoji => flag(text.n_emoji >= 3 && text.n_emoji * 5 >= text.n_words),
        SpamCue::Invite => flag(text.n_invites > 0),
        SpamCue::Link => flag(text.n_links > 0),
        SpamCue::Mention => flag(text.n_mentions > 0),
        SpamCue::Model => two_decimals(model::SHIPPED.logit(&text.grams, model::SPAM)),
        SpamCue::Money => flag(text.has_currency),
        SpamCue::Pay => {
            let is_money = text.has_currency || text.distinct_of(List::Money) > 0;
            flag(is_money && text.n_numbers > 0 && text.distinct_of(List::Period) > 0)
        }
        SpamCue::Words => {
            let words = match text.n_spam_words {
                0 => 0.0,
                1 => 0.5,
                2 => 1.2,
                3 => 1.7,
                _ => 2.0,
            };
            words * density(text.n_content, DENSE_WORDS)
        }
    }
}
