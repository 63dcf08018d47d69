//! The factors of a score: their names, their order, and their values from an analysed message.

use telesift_schemas::MessageKind;

use crate::{MessageView, Rules, analysis::Analysis, model, rules::shipped};

macro_rules! factors {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What can count in a score, in the order contributions are added up: by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Factor { $($(#[$doc])* $variant,)* }

        impl Factor {
            /// All factors, by name.
            pub const ALL: &'static [Factor] = &[$(Factor::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
            /// The name in `screen.factors` and in rules.
            pub const fn name(self) -> &'static str {
                match self { $(Factor::$variant => $name,)* }
            }
        }
    };
}

factors! {
    /// Share of words that only say yes, no or seen.
    Acknowledgement = "acknowledgement",
    /// Code, and nothing said or asked beside it.
    BareCode = "bare_code",
    /// Words of change: versions, migrations, updates.
    Change = "change",
    /// What the rules add in this chat.
    Chat = "chat",
    /// Code: backticks, stack traces, paths, calls.
    Code = "code",
    /// Words of tasks and dates.
    Deadline = "deadline",
    /// Words of decisions.
    Decision = "decision",
    /// Nothing but emoji and punctuation.
    EmojiOnly = "emoji_only",
    /// No text, no medium, no link.
    Empty = "empty",
    /// Forwarded from elsewhere.
    Forward = "forward",
    /// Share of words that greet.
    Greeting = "greeting",
    /// Words of incidents.
    Incident = "incident",
    /// Share of laughter.
    Laughter = "laughter",
    /// Links.
    Link = "link",
    /// Lines that are items of a list.
    List = "list",
    /// A medium whose caption has content.
    MediaCaption = "media_caption",
    /// Mentioned users.
    Mention = "mention",
    /// What the learned weights of words and their parts come to, in logits.
    Model = "model",
    /// Words of money.
    Money = "money",
    /// Names: words with a capital within a sentence.
    Name = "name",
    /// Neither content words nor a link nor code.
    NoContent = "no_content",
    /// Numbers.
    Number = "number",
    /// Words of errors and defects.
    Problem = "problem",
    /// Share of words that promote.
    Promotion = "promotion",
    /// A question with content.
    Question = "question",
    /// Words drawn out (`сууупер`).
    RepeatedLetters = "repeated_letters",
    /// An answer with content.
    Reply = "reply",
    /// Words that ask for an answer, help or a review.
    Request = "request",
    /// Words of security.
    Security = "security",
    /// A service message or a tombstone.
    Service = "service",
    /// How far the text falls short of a dozen letters.
    Short = "short",
    /// Capitals only.
    Shouting = "shouting",
    /// Share of words of small talk.
    Smalltalk = "smalltalk",
    /// The probability of spam, where it is flagged.
    Spam = "spam",
    /// How much content there is, with diminishing returns.
    Substance = "substance",
    /// Words of software and its operation.
    Tech = "tech",
    /// What the rules' own terms come to, in logits.
    Terms = "terms",
    /// Share of thanks.
    Thanks = "thanks",
    /// Share of congratulations and wishes.
    Wishes = "wishes",
}

impl Factor {
    /// Whether training gives its weight; the others are what a person says or another model finds.
    pub const fn is_learned(self) -> bool {
        !matches!(
            self,
            Factor::Model | Factor::Spam | Factor::Terms | Factor::Chat | Factor::Service
        )
    }
}

/// The values of all factors, by `Factor as usize`.
pub(crate) type Values = [f64; Factor::COUNT];

/// Content words at which substance is worth a half.
const HALF_SUBSTANCE: f64 = 6.0;

/// What each factor measures in the message, and the column of the model that decided its value. `spam` is the probability if
/// flagged, else 0.
pub(crate) fn values(
    message: &MessageView<'_>,
    text: &Analysis,
    rules: &Rules,
    spam: f64,
) -> (Values, usize) {
    let mut values = [0.0; Factor::COUNT];
    let mut set = |factor: Factor, value: f64| values[factor as usize] = value;

    set(Factor::Chat, rules.chat(message.chat).bias);
    if matches!(message.kind, MessageKind::Service | MessageKind::Deleted) {
        // What Telegram says about itself is not judged by its words.
        set(Factor::Service, 1.0);
        return (values, model::MATTERS);
    }
    let density = density(text.n_content, DENSE_WORDS);
    let hits = |factor| two_decimals(diminishing(text.distinct(factor)) * density);
    let share = |factor| percent(text.total(factor), text.n_words);
    for factor in SIGNAL_WORDS {
        set(*factor, hits(*factor));
    }
    for factor in CHATTER_WORDS {
        set(*factor, share(*factor));
    }

    let content = f64::from(text.n_content);
    set(
        Factor::Substance,
        two_decimals(content / (content + HALF_SUBSTANCE)),
    );
    set(Factor::Code, diminishing(text.n_code));
    set(Factor::BareCode, flag(text.is_bare_code));
    set(
        Factor::Link,
        diminishing(text.n_links.max(message.links.len() as u32)),
    );
    set(
        Factor::List,
        if text.n_list_items >= 2 {
            diminishing(text.n_list_items - 1)
        } else {
            0.0
        },
    );
    set(Factor::Mention, diminishing(text.n_mentions));
    set(Factor::Number, diminishing(text.n_numbers));
    let n_names = if text.is_shouting() { 0 } else { text.n_names };
    set(Factor::Name, diminishing(n_names));

    let has_content = text.n_content >= 2;
    set(Factor::Question, flag(text.has_question && has_content));
    set(
        Factor::Reply,
        flag(message.reply_to.is_some() && has_content),
    );
    set(Factor::Forward, flag(message.is_forward && has_content));
    set(Factor::MediaCaption, flag(message.has_media && has_content));

    let has_link = text.n_links > 0 || !message.links.is_empty();
    let is_blank = text.n_visible == 0;
    set(
        Factor::Empty,
        flag(is_blank && !message.has_media && !has_link),
    );
    set(
        Factor::EmojiOnly,
        flag(!is_blank && text.n_words == 0 && text.n_numbers == 0 && !has_link),
    );
    let worded = text.n_content + text.n_code;
    set(Factor::NoContent, flag(worded == 0 && !has_link));
    set(Factor::RepeatedLetters, diminishing(text.n_drawn_out));
    set(Factor::Short, two_decimals(shortness(text)));
    set(Factor::Shouting, flag(text.is_shouting()));
    set(Factor::Spam, two_decimals(spam));
    // A whole number of ten-thousandths, so exact however it was added up.
    set(Factor::Terms, text.terms as f64 / TERM_UNITS);
    let (learned, column) = model::SHIPPED.added(&text.grams, known_logit(&values));
    values[Factor::Model as usize] = two_decimals(learned);
    (values, column)
}

/// The logit of the learned factors by the weights the n-grams were learned with: those of the rules that ship, whatever rules
/// are in force, so that a weight changed in them counts in full.
fn known_logit(values: &Values) -> f64 {
    let shipped = shipped();
    let learned = Factor::ALL.iter().filter(|factor| factor.is_learned());
    learned.fold(shipped.bias, |sum, factor| {
        let i = *factor as usize;
        sum + values[i] * shipped.weights[i]
    })
}

/// Weights of terms are kept in ten-thousandths of a logit.
pub(crate) const TERM_UNITS: f64 = 10_000.0;

/// Lexicons that count by how many different words of them there are.
pub(crate) const SIGNAL_WORDS: &[Factor] = &[
    Factor::Change,
    Factor::Deadline,
    Factor::Decision,
    Factor::Incident,
    Factor::Money,
    Factor::Problem,
    Factor::Request,
    Factor::Security,
    Factor::Tech,
];

/// Lexicons that count by their share of all words.
pub(crate) const CHATTER_WORDS: &[Factor] = &[
    Factor::Acknowledgement,
    Factor::Greeting,
    Factor::Laughter,
    Factor::Promotion,
    Factor::Smalltalk,
    Factor::Thanks,
    Factor::Wishes,
];

/// Up to this many content words, a word of a list counts in full.
const DENSE_WORDS: f64 = 8.0;

/// What a word of a list counts for in a text of `n_content` content words: 1 up to `n_dense`, and less the longer it is,
/// since long texts hold any word by chance. Falls with the root, so that a long report full of such words keeps most.
pub(crate) fn density(n_content: u32, n_dense: f64) -> f64 {
    libm::sqrt((n_dense / f64::from(n_content.max(1))).min(1.0))
}

/// 1 for nothing, 0 from fifteen characters on: a word or two seldom say enough, and beyond that length says nothing.
/// A Chinese character says about as much as three letters.
fn shortness(text: &Analysis) -> f64 {
    let n = text.n_visible + 2 * text.n_characters;
    1.0 - f64::from(n.min(15)) / 15.0
}

fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

/// 0, 1, 1.5, 1.75, 1.875, … towards 2: each more counts half of the one before.
fn diminishing(n: u32) -> f64 {
    const VALUES: [f64; 6] = [0.0, 1.0, 1.5, 1.75, 1.875, 1.9375];
    VALUES[(n as usize).min(VALUES.len() - 1)]
}

fn percent(part: u32, whole: u32) -> f64 {
    if whole == 0 {
        0.0
    } else {
        two_decimals(f64::from(part) / f64::from(whole))
    }
}

/// Values have at most a few decimals, so that a person can check `value × weight`.
pub(crate) fn two_decimals(x: f64) -> f64 {
    libm::round(x * 100.0) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_stand_in_the_order_of_their_names() {
        let names: Vec<&str> = Factor::ALL.iter().map(|f| f.name()).collect();
        assert!(names.is_sorted(), "{names:?}");
        for (i, factor) in Factor::ALL.iter().enumerate() {
            assert_eq!(*factor as usize, i);
        }
    }
}
