//! Questions over time windows, answered from the stored rows of the chats their viewer may see.

mod names;

use std::collections::{BTreeMap, HashMap};

use telesift_ports::{
    catalog::{LabelFilter, in_force},
    windows::{SumsFilter, ToldFilter, ToldPosition},
};
use telesift_schemas::{Burst, BurstKind, ChatId, Generation, MessageKey, Timestamp, Trend};
use telesift_windows::{
    Flag, Panes, Sums, Told,
    bursts::{self, Hours, Terms},
    definitions::{
        BURST_BASELINE, BURST_WIDTH_S, MINUTE_S, SILENCE_DAY_S, SILENCE_STEP_S, TREND_SLIDE_S,
        TREND_WIDTH_S,
    },
    trends::Trends,
};

use crate::{
    auth::{Auditor, Viewer},
    problem::Result,
    state::App,
};

/// Rows read at once.
const ROWS: usize = 5_000;

/// A stretch of time; `None` = without bound.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

impl Span {
    fn holds(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

/// Which windows: those that end after `since`, and at `until` or before; of which of the viewer's chats.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    /// Empty = all.
    pub(crate) chats: Vec<ChatId>,
}

impl Ends {
    /// The ends at multiples of `width_s`, by number: from, and before.
    fn numbers(&self, width_s: i64) -> (i64, i64) {
        let number = |at: Timestamp| at.as_microsecond().div_euclid(width_s * 1_000_000);
        (number(self.since) + 1, number(self.until) + 1)
    }

    /// What is sent in windows that reach `before_s` back from their ends, which are multiples of `width_s`.
    fn reach(&self, width_s: i64, before_s: i64) -> Span {
        let (from, to) = self.numbers(width_s);
        let at = |s: i64| Timestamp::from_second(s).ok();
        Span {
            since: at(from * width_s - before_s),
            until: at((to - 1) * width_s),
        }
    }

    fn chats_of(&self, viewer: &Viewer) -> Option<Vec<ChatId>> {
        match (viewer.visible_chats(), self.chats.is_empty()) {
            (None, true) => None,
            (None, false) => Some(self.chats.clone()),
            (Some(visible), true) => Some(visible.to_vec()),
            (Some(visible), false) => {
                let asked = self.chats.iter().filter(|chat| visible.contains(chat));
                Some(asked.copied().collect())
            }
        }
    }
}

/// Screening over a stretch of time.
#[derive(Debug, Default)]
pub(crate) struct Screened {
    /// By the start of the bucket; one without start where no width is asked for.
    pub(crate) buckets: BTreeMap<Option<i64>, Sums>,
    pub(crate) chats: BTreeMap<ChatId, Sums>,
    /// When the first message was sent.
    pub(crate) first: Option<Timestamp>,
}

impl Screened {
    fn add(&mut self, at: Timestamp, chat: ChatId, width_s: Option<i64>, sums: &Sums) {
        let bucket = width_s.map(|width| start_of_bucket(at, width));
        *self.buckets.entry(bucket).or_default() += sums;
        *self.chats.entry(chat).or_default() += sums;
    }
}

fn start_of_bucket(at: Timestamp, width_s: i64) -> i64 {
    at.as_microsecond().div_euclid(width_s * 1_000_000) * width_s
}

impl App {
    /// Whose rows are the live ones; asked once for an answer, which is then of one generation.
    fn rows(&self) -> Generation {
        self.generations.live().windows
    }

    /// What screening made of the messages of `span`, in buckets of `width_s` seconds: whole minutes from their sums, what
    /// else there is from its rows. Where analysts gave another class, theirs counts.
    pub(crate) async fn screened(
        &self,
        _: &Auditor,
        span: Span,
        width_s: Option<i64>,
    ) -> Result<Screened> {
        let of = self.rows();
        let mut screened = Screened::default();
        let minute = |at: Timestamp, up: i64| {
            let us = MINUTE_S * 1_000_000;
            (at.as_microsecond() + up * (us - 1)).div_euclid(us)
        };
        let from = span.since.map(|since| minute(since, 1));
        let to = span.until.map(|until| minute(until, 0));
        let is_whole = width_s.is_none_or(|width| width % MINUTE_S == 0);
        let is_empty = matches!((from, to), (Some(from), Some(to)) if from >= to);
        let at =
            |minute: Option<i64>| minute.and_then(|m| Timestamp::from_second(m * MINUTE_S).ok());
        let edges = match is_whole && !is_empty {
            true => {
                self.sum_minutes(of, &mut screened, (from, to), width_s)
                    .await?;
                let before = span.since.map(|_| Span {
                    since: span.since,
                    until: at(from),
                });
                let after = span.until.map(|_| Span {
                    since: at(to),
                    until: span.until,
                });
                [before, after]
            }
            false => [Some(span), None],
        };
        for edge in edges.into_iter().flatten() {
            let add = |told: Told| {
                if let Some(said) = &told.said {
                    let sums = Sums::of(said, 1);
                    screened.add(told.event_time, told.key.chat, width_s, &sums);
                }
            };
            self.each_told(of, edge, false, None, add).await?;
        }
        self.put_labels_on(of, &mut screened, span, width_s).await?;
        let first = ToldFilter {
            since: span.since,
            until: span.until,
            ..ToldFilter::default()
        };
        let first = self.catalog.told_between(of, &first, None, 1).await?;
        screened.first = first.first().map(|told| told.event_time);
        Ok(screened)
    }

    /// Whole minutes.
    async fn sum_minutes(
        &self,
        of: Generation,
        screened: &mut Screened,
        (from, to): (Option<i64>, Option<i64>),
        width_s: Option<i64>,
    ) -> Result<()> {
        let width = width_s.map(|s| s / MINUTE_S);
        let over_all = SumsFilter {
            from,
            to,
            width,
            per_chat: false,
            chats: None,
        };
        let per_chat = SumsFilter {
            width: None,
            per_chat: true,
            ..over_all.clone()
        };
        for row in self.catalog.minute_sums(of, &over_all).await? {
            let start = width_s.map(|s| row.number * s);
            *screened.buckets.entry(start).or_default() += &row.sums;
        }
        for row in self.catalog.minute_sums(of, &per_chat).await? {
            let Some(chat) = row.chat else { continue };
            *screened.chats.entry(chat).or_default() += &row.sums;
        }
        Ok(())
    }

    /// Moves what analysts judged otherwise to where they put it.
    async fn put_labels_on(
        &self,
        of: Generation,
        screened: &mut Screened,
        span: Span,
        width_s: Option<i64>,
    ) -> Result<()> {
        let (mut labels, mut before) = (Vec::new(), None);
        loop {
            let page = self
                .catalog
                .labels(&LabelFilter::default(), before, ROWS)
                .await?;
            let Some(last) = page.last() else { break };
            before = Some(last.decided);
            labels.extend(page);
        }
        let given = in_force(labels).into_iter();
        let given: HashMap<(MessageKey, i64), _> = given
            .filter_map(|f| Some(((f.message, f.edit), f.label?)))
            .collect();
        let keys: Vec<MessageKey> = given.keys().map(|(message, _)| *message).collect();
        for told in self.catalog.told(of, &keys).await? {
            let label = given.get(&(told.key, told.version.0));
            let Some((label, said)) = label.zip(told.said.as_ref()) else {
                continue;
            };
            if !span.holds(told.event_time) {
                continue;
            }
            let mut moved = Sums::default();
            if let Some(class) = label.class {
                moved.classes[said.class as usize] -= 1;
                moved.classes[class as usize] += 1;
            }
            if let Some(spam) = label.spam {
                moved.flags[Flag::Spam as usize] = i64::from(spam) - i64::from(said.flags & 1);
            }
            screened.add(told.event_time, told.key.chat, width_s, &moved);
        }
        Ok(())
    }

    /// The trends of the windows asked for, the latest first.
    pub(crate) async fn trends(&self, viewer: &Viewer, ends: &Ends) -> Result<Vec<Trend>> {
        let (from, to) = ends.numbers(TREND_SLIDE_S);
        let mut trends = Trends::default();
        let (of, reach) = (self.rows(), ends.reach(TREND_SLIDE_S, 2 * TREND_WIDTH_S));
        let add = |told: Told| trends.add(&told);
        self.each_told(of, reach, true, ends.chats_of(viewer), add)
            .await?;
        Ok(trends.rows(from, to))
    }

    /// The bursts of the windows asked for, and who fell silent, the latest first.
    pub(crate) async fn bursts(
        &self,
        viewer: &Viewer,
        ends: &Ends,
        kinds: &[BurstKind],
    ) -> Result<Vec<Burst>> {
        let of = self.rows();
        let wants = |kind| kinds.is_empty() || kinds.contains(&kind);
        let mut found = Vec::new();
        if wants(BurstKind::Term) {
            found.extend(self.loud_terms(of, viewer, ends).await?);
        }
        if wants(BurstKind::Chat) {
            found.extend(self.loud_chats(of, viewer, ends).await?);
        }
        if wants(BurstKind::Silence) {
            found.extend(self.silent_chats(of, viewer, ends).await?);
        }
        found.sort_by(bursts::order);
        Ok(found)
    }

    async fn loud_terms(&self, of: Generation, viewer: &Viewer, ends: &Ends) -> Result<Vec<Burst>> {
        let (from, to) = ends.numbers(BURST_WIDTH_S);
        let mut terms = Terms::default();
        let reach = ends.reach(BURST_WIDTH_S, BURST_WIDTH_S * (1 + BURST_BASELINE));
        let add = |told: Told| terms.add(&told);
        self.each_told(of, reach, true, ends.chats_of(viewer), add)
            .await?;
        Ok(terms.bursts(from, to))
    }

    async fn loud_chats(&self, of: Generation, viewer: &Viewer, ends: &Ends) -> Result<Vec<Burst>> {
        let (from, to) = ends.numbers(BURST_WIDTH_S);
        let reach = ends.reach(BURST_WIDTH_S, BURST_WIDTH_S * (1 + BURST_BASELINE));
        let mut chats: BTreeMap<ChatId, Panes> = BTreeMap::new();
        let each = |chat: ChatId, quarter: i64, _: i64, n: u64| {
            chats.entry(chat).or_default().add(quarter, n);
        };
        self.each_sum(of, reach, BURST_WIDTH_S, ends.chats_of(viewer), each)
            .await?;
        let found = chats
            .iter()
            .flat_map(|(chat, panes)| bursts::of_chat(*chat, panes, from, to));
        Ok(found.collect())
    }

    async fn silent_chats(
        &self,
        of: Generation,
        viewer: &Viewer,
        ends: &Ends,
    ) -> Result<Vec<Burst>> {
        let (from, to) = ends.numbers(SILENCE_STEP_S);
        let reach = ends.reach(SILENCE_STEP_S, SILENCE_DAY_S);
        let mut chats: BTreeMap<ChatId, Hours> = BTreeMap::new();
        let each = |chat: ChatId, _: i64, last_minute: i64, n: u64| {
            chats.entry(chat).or_default().add(last_minute, n);
        };
        self.each_sum(of, reach, SILENCE_STEP_S, ends.chats_of(viewer), each)
            .await?;
        let found = chats
            .iter()
            .flat_map(|(chat, hours)| hours.silences(*chat, from, to));
        Ok(found.collect())
    }

    /// Every row of `span`, page by page.
    async fn each_told(
        &self,
        of: Generation,
        span: Span,
        without_noise: bool,
        chats: Option<Vec<ChatId>>,
        mut each: impl FnMut(Told),
    ) -> Result<()> {
        let filter = ToldFilter {
            since: span.since,
            until: span.until,
            without_noise,
            chats,
        };
        let mut after = None;
        loop {
            let page = self
                .catalog
                .told_between(of, &filter, after.as_ref(), ROWS)
                .await?;
            let is_last = page.len() < ROWS;
            after = page.last().map(ToldPosition::from);
            page.into_iter().for_each(&mut each);
            if is_last {
                return Ok(());
            }
        }
    }

    /// The messages of each chat in pieces of `width_s` seconds: chat, number of the piece, its last minute, how many.
    async fn each_sum(
        &self,
        of: Generation,
        span: Span,
        width_s: i64,
        chats: Option<Vec<ChatId>>,
        mut each: impl FnMut(ChatId, i64, i64, u64),
    ) -> Result<()> {
        let minute = |at: Timestamp| at.as_second() / MINUTE_S;
        let filter = SumsFilter {
            from: span.since.map(minute),
            to: span.until.map(minute),
            width: Some(width_s / MINUTE_S),
            per_chat: true,
            chats,
        };
        for row in self.catalog.minute_sums(of, &filter).await? {
            let n = u64::try_from(row.sums.messages()).unwrap_or(0);
            if let Some(chat) = row.chat {
                each(chat, row.number, row.last_minute, n);
            }
        }
        Ok(())
    }
}
