//! The questions as Arroyo's pipelines: their SQL with everything filled in, and the UDFs it calls.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use telesift_schemas::Topic;
use telesift_windows::definitions as of;

/// A question: a file of `pipelines/arroyo`.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// The name of its file.
    pub(crate) name: &'static str,
    /// What it answers, in a line.
    pub(crate) question: &'static str,
    /// Where its answers go.
    pub(crate) sink: Topic,
    sql: &'static str,
}

/// All of them.
pub(crate) const PIPELINES: [Pipeline; 6] = [
    Pipeline {
        name: "screen-stats",
        question: "what screening made of each chat's messages, per minute",
        sink: Topic::SCREEN_STATS,
        sql: include_str!("../../arroyo/screen-stats.sql"),
    },
    Pipeline {
        name: "trends",
        question: "terms and links of an hour, with their growth against the hour before",
        sink: Topic::TRENDS,
        sql: include_str!("../../arroyo/trends.sql"),
    },
    Pipeline {
        name: "chat-bursts",
        question: "chats much louder than in the two hours before",
        sink: Topic::BURSTS,
        sql: include_str!("../../arroyo/chat-bursts.sql"),
    },
    Pipeline {
        name: "term-bursts",
        question: "terms much louder than in the two hours before",
        sink: Topic::BURSTS,
        sql: include_str!("../../arroyo/term-bursts.sql"),
    },
    Pipeline {
        name: "silent-chats",
        question: "chats that fell silent",
        sink: Topic::BURSTS,
        sql: include_str!("../../arroyo/silent-chats.sql"),
    },
    Pipeline {
        name: "story-spread",
        question: "how stories spread over chats within an hour",
        sink: Topic::STORY_SPREAD,
        sql: include_str!("../../arroyo/story-spread.sql"),
    },
];

/// A Rust UDF: one file of source, as Arroyo compiles it.
#[derive(Debug)]
pub(crate) struct Udf {
    /// As SQL calls it.
    pub(crate) name: &'static str,
    /// Its source.
    pub(crate) source: &'static str,
}

/// All of them, made by the tool in `pipelines/arroyo/udfs`.
pub(crate) const UDFS: [Udf; 3] = [
    Udf {
        name: "text_terms",
        source: include_str!("../../arroyo/udfs/bundled/text_terms.rs"),
    },
    Udf {
        name: "story_key",
        source: include_str!("../../arroyo/udfs/bundled/story_key.rs"),
    },
    Udf {
        name: "text_lang",
        source: include_str!("../../arroyo/udfs/bundled/text_lang.rs"),
    },
];

/// The topics the pipelines read and write.
const TOPICS: [Topic; 6] = [
    Topic::MESSAGES,
    Topic::STORIES,
    Topic::SCREEN_STATS,
    Topic::TRENDS,
    Topic::BURSTS,
    Topic::STORY_SPREAD,
];

/// What is put into the SQL, by name.
#[derive(Clone, Debug)]
pub(crate) struct Filling(BTreeMap<String, String>);

impl Filling {
    /// For the cluster at `endpoint`, whose topics are named with `prefix`, from `offset` on (`latest` or `earliest`);
    /// `renamed` gives other names to topics.
    ///
    /// # Errors
    /// When `renamed` names no topic of the pipelines, or a value cannot stand in SQL.
    pub(crate) fn new(
        endpoint: &str,
        prefix: &str,
        offset: &str,
        renamed: &[(String, String)],
    ) -> Result<Self> {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for topic in TOPICS {
            values.insert(placeholder(topic.as_str()), format!("{prefix}{topic}"));
        }
        for (topic, name) in renamed {
            if values.insert(placeholder(topic), name.clone()).is_none() {
                let known = TOPICS.map(|t| t.to_string()).join(", ");
                bail!("`{topic}` is no topic of the pipelines, which are {known}");
            }
        }
        values.insert("endpoint".to_owned(), endpoint.to_owned());
        values.insert("offset".to_owned(), offset.to_owned());
        if let Some((name, value)) = values.iter().find(|(_, v)| v.contains(['\'', '{', '\n'])) {
            bail!("`{value}` cannot stand in SQL as {name}");
        }
        let numbers = [
            ("lateness_s", of::LATENESS_S),
            ("minute_s", of::MINUTE_S),
            ("trend_width_s", of::TREND_WIDTH_S),
            ("trend_reach_s", 2 * of::TREND_WIDTH_S),
            ("trend_slide_s", of::TREND_SLIDE_S),
            ("trend_min", of::TREND_MIN as i64),
            ("burst_width_s", of::BURST_WIDTH_S),
            (
                "burst_reach_s",
                (1 + of::BURST_BASELINE) * of::BURST_WIDTH_S,
            ),
            ("burst_baseline", of::BURST_BASELINE),
            ("burst_factor", of::BURST_FACTOR as i64),
            ("chat_burst_min", of::CHAT_BURST_MIN as i64),
            ("term_burst_min", of::TERM_BURST_MIN as i64),
            ("silence_step_s", of::SILENCE_STEP_S),
            ("silence_after_s", of::SILENCE_AFTER_S),
            (
                "silence_noticed_s",
                of::SILENCE_AFTER_S + of::SILENCE_STEP_S,
            ),
            ("silence_day_s", of::SILENCE_DAY_S),
            ("silence_min", of::SILENCE_MIN as i64),
            ("spread_width_s", of::SPREAD_WIDTH_S),
            ("spread_slide_s", of::SPREAD_SLIDE_S),
        ];
        values.extend(numbers.map(|(name, n)| (name.to_owned(), n.to_string())));
        Ok(Filling(values))
    }

    /// Arroyo learns how many partitions a source has from the first topic of the cluster whose name *holds* the one it asks
    /// for. `found` are the cluster's topics, each with its number of partitions.
    ///
    /// # Errors
    /// When that may be another topic with another number: some partitions would not be read, or the pipeline would fail.
    pub(crate) fn check_sources(&self, found: &[(String, usize)]) -> Result<()> {
        for source in [Topic::MESSAGES, Topic::STORIES] {
            let Some(name) = self.0.get(&placeholder(source.as_str())) else {
                continue;
            };
            let Some((_, n)) = found.iter().find(|(other, _)| other == name) else {
                continue;
            };
            let misleads = |(other, m): &&(String, usize)| other.contains(name.as_str()) && m != n;
            if let Some((other, m)) = found.iter().find(misleads) {
                bail!(
                    "Arroyo may take `{other}` for `{name}`, which is a part of its name: it has {m} partitions, not {n}; remove \
                     it, give both the same number, or have another topic read with --topic {source}=NAME"
                );
            }
        }
        Ok(())
    }
}

fn placeholder(topic: &str) -> String {
    topic.replace('-', "_")
}

impl Pipeline {
    /// The pipeline of that name.
    pub(crate) fn named(name: &str) -> Option<&'static Pipeline> {
        PIPELINES.iter().find(|p| p.name == name)
    }

    /// The UDFs its SQL calls.
    pub(crate) fn udfs(&self) -> impl Iterator<Item = &'static Udf> {
        UDFS.iter()
            .filter(|udf| self.sql.contains(&format!("{}(", udf.name)))
    }

    /// The SQL, filled in.
    ///
    /// # Errors
    /// When it asks for something nobody fills in.
    pub(crate) fn render(&self, filling: &Filling) -> Result<String> {
        let mut out = String::with_capacity(self.sql.len());
        let mut rest = self.sql;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                bail!("{}.sql: `{{{{` without its end", self.name);
            };
            let Some(value) = filling.0.get(name) else {
                bail!("{}.sql asks for `{name}`, which nobody fills in", self.name);
            };
            out.push_str(before);
            out.push_str(value);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filling() -> Filling {
        let renamed = [("messages".to_owned(), "messages-g2".to_owned())];
        Filling::new("cluster:9003", "t-", "latest", &renamed).unwrap()
    }

    #[test]
    fn every_pipeline_is_filled_in_and_says_what_it_is() {
        for pipeline in &PIPELINES {
            let sql = pipeline.render(&filling()).unwrap();
            assert!(
                sql.starts_with("-- ") && sql.contains("Late data"),
                "{}",
                pipeline.name
            );
            assert!(
                !sql.contains("{{") && !sql.contains("}}"),
                "{}",
                pipeline.name
            );
            assert!(
                sql.contains("endpoint = 'cluster:9003'"),
                "{}",
                pipeline.name
            );
            assert!(
                sql.contains(&format!("topic = 't-{}'", pipeline.sink)),
                "{}",
                pipeline.name
            );
            assert!(
                sql.contains("'source.offset' = 'latest'"),
                "{}",
                pipeline.name
            );
        }
        let trends = Pipeline::named("trends").unwrap();
        let sql = trends.render(&filling()).unwrap();
        assert!(sql.contains("topic = 'messages-g2'"));
        assert!(sql.contains("hop(INTERVAL '900 seconds', INTERVAL '7200 seconds')"));
        assert_eq!(
            trends.udfs().map(|u| u.name).collect::<Vec<_>>(),
            ["text_terms"]
        );
    }

    /// The SQL counts quarters by their number in the window, written out.
    #[test]
    fn windows_have_the_panes_that_the_sql_writes_out() {
        assert_eq!(2 * of::TREND_WIDTH_S / of::TREND_SLIDE_S, 8);
        assert_eq!(of::BURST_BASELINE + 1, 9);
        assert_eq!(
            (of::SILENCE_AFTER_S / 3_600, of::SILENCE_DAY_S / 3_600),
            (6, 24)
        );
    }

    #[test]
    fn a_topic_that_arroyo_may_take_for_another_is_refused() {
        let filling = Filling::new("a", "t-", "latest", &[]).unwrap();
        let of = |topics: &[(&str, usize)]| {
            let topics = topics.iter().map(|(name, n)| ((*name).to_owned(), *n));
            filling.check_sources(&topics.collect::<Vec<_>>())
        };
        of(&[("t-messages", 4), ("t-messages-g2", 4), ("t-stories", 1)]).unwrap();
        of(&[("t-messages", 4), ("t-message", 8), ("messages", 8)]).unwrap();
        of(&[]).unwrap();
        let error = of(&[("t-messages", 4), ("t-messages-g2", 8)]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("`t-messages-g2`") && error.contains("8 partitions, not 4"),
            "{error}"
        );
    }

    #[test]
    fn what_cannot_stand_in_sql_is_refused() {
        assert!(Filling::new("a'b", "", "latest", &[]).is_err());
        let renamed = [("raw".to_owned(), "x".to_owned())];
        let error = Filling::new("a", "", "latest", &renamed).unwrap_err();
        assert!(error.to_string().contains("`raw` is no topic"), "{error}");
    }
}
