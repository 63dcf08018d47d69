//! Names of topics: `messages` and `stories` mean the live generation's, `messages-g2` that of one generation.

use telesift_ports::generations::Parts;
use telesift_schemas::{Generation, Topic};

/// What a topic's name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// As it was asked for.
    pub(crate) name: Topic,
    /// As the log calls it.
    pub(crate) stored: Topic,
    /// By which generation it was made; the first one for topics that have none.
    pub(crate) generation: Generation,
    /// Whether it means another one after a switch.
    pub(crate) follows: bool,
}

impl Named {
    pub(super) fn new(name: Topic, live: &Parts) -> Self {
        for (base, of) in [
            (Topic::MESSAGES, live.messages),
            (Topic::STORIES, live.stories),
        ] {
            if name == base {
                return Named {
                    stored: base.of(of),
                    name,
                    generation: of,
                    follows: true,
                };
            }
            if let Some(of) = Generation::of_name(base.as_str(), name.as_str()) {
                return Named {
                    stored: base.of(of),
                    name,
                    generation: of,
                    follows: false,
                };
            }
        }
        Named {
            stored: name.clone(),
            name,
            generation: Generation::FIRST,
            follows: false,
        }
    }

    /// What a stored topic is called: the live ones by their plain name, others by their generation's.
    pub(crate) fn of_stored(stored: &Topic, live: &Parts) -> (String, Option<Generation>) {
        for (base, of_live) in [
            (Topic::MESSAGES, live.messages),
            (Topic::STORIES, live.stories),
        ] {
            if let Some(of) = Generation::of_name(base.as_str(), stored.as_str()) {
                let name = match of {
                    of if of == of_live => base.to_string(),
                    Generation::FIRST => format!("{base}-g1"),
                    _ => stored.to_string(),
                };
                return (name, Some(of));
            }
        }
        (stored.to_string(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(messages: u32) -> Parts {
        Parts {
            messages: Generation(messages),
            ..Parts::all_of(Generation::FIRST)
        }
    }

    #[test]
    fn a_plain_name_means_the_live_generation() {
        let stored = |name: &'static str, live_messages| {
            let named = Named::new(Topic::new(name), &live(live_messages));
            (named.stored.to_string(), named.follows)
        };
        assert_eq!(stored("messages", 1), ("messages".to_owned(), true));
        assert_eq!(stored("messages", 3), ("messages-g3".to_owned(), true));
        assert_eq!(stored("messages-g1", 3), ("messages".to_owned(), false));
        assert_eq!(stored("messages-g2", 3), ("messages-g2".to_owned(), false));
        assert_eq!(stored("decisions", 3), ("decisions".to_owned(), false));
    }

    #[test]
    fn every_stored_topic_has_one_name() {
        let name = |stored: &'static str, live_messages| {
            Named::of_stored(&Topic::new(stored), &live(live_messages)).0
        };
        assert_eq!(
            [name("messages", 1), name("messages-g2", 1)],
            ["messages", "messages-g2"]
        );
        assert_eq!(
            [name("messages", 2), name("messages-g2", 2)],
            ["messages-g1", "messages"]
        );
        assert_eq!(name("telegram-raw", 2), "telegram-raw");
    }
}
