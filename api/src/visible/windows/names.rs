//! What to show of trends and bursts: words for terms, titles for chats.

use std::collections::HashMap;

use telesift_schemas::{Burst, BurstKind, ChatId, Timestamp, Trend, TrendKind};
use telesift_windows::Names;

use super::{Ends, Span};
use crate::{auth::Viewer, problem::Result, state::App};

impl App {
    /// What to show of each of `trends`, which are of `ends`.
    pub(crate) async fn names_of_trends(
        &self,
        viewer: &Viewer,
        ends: &Ends,
        trends: &[Trend],
    ) -> Result<Vec<Option<String>>> {
        let terms = trends.iter().map(|trend| {
            let term = (trend.kind == TrendKind::Term).then_some(trend.value.as_str());
            (term, trend.window_start, trend.window_end)
        });
        self.words_for(viewer, ends, terms).await
    }

    /// What to show of each of `bursts`, which are of `ends`.
    pub(crate) async fn names_of_bursts(
        &self,
        viewer: &Viewer,
        ends: &Ends,
        bursts: &[Burst],
    ) -> Result<Vec<Option<String>>> {
        let terms = bursts.iter().map(|burst| {
            let term = (burst.kind == BurstKind::Term).then_some(burst.subject.as_str());
            (term, burst.window_start, burst.window_end)
        });
        let mut names = self.words_for(viewer, ends, terms).await?;
        if bursts.iter().all(|burst| burst.kind == BurstKind::Term) {
            return Ok(names);
        }
        let titles = self.titles(viewer).await?;
        for (name, burst) in names.iter_mut().zip(bursts) {
            if burst.kind != BurstKind::Term {
                let chat: Option<ChatId> = burst.subject.parse().ok();
                *name = chat.and_then(|chat| titles.get(&chat).cloned());
            }
        }
        Ok(names)
    }

    /// The newest titles of the chats `viewer` may see, of those that have one.
    pub(crate) async fn titles(&self, viewer: &Viewer) -> Result<HashMap<ChatId, String>> {
        let chats = self.store.seen_by(viewer).chats().await?.into_iter();
        let titles = chats.filter_map(|c| Some((c.chat.id, c.chat.title?)));
        Ok(titles.collect())
    }

    /// The words for terms in their windows; `None` for what is no term.
    async fn words_for<'r>(
        &self,
        viewer: &Viewer,
        ends: &Ends,
        terms: impl Iterator<Item = (Option<&'r str>, Timestamp, Timestamp)>,
    ) -> Result<Vec<Option<String>>> {
        let mut names = Names::default();
        let mut is_term = Vec::new();
        for (term, from, to) in terms {
            is_term.push(term.is_some());
            if let Some(term) = term {
                names.ask(term, from, to);
            }
        }
        if let Some((from, to)) = names.span() {
            let span = Span {
                since: Some(from),
                until: Some(to),
            };
            let chats = ends.chats_of(viewer);
            self.each_told(self.rows(), span, true, chats, |told| names.add(&told))
                .await?;
        }
        let mut found = names.names().into_iter();
        let names = is_term.into_iter().map(|is_term| match is_term {
            true => found.next().flatten(),
            false => None,
        });
        Ok(names.collect())
    }
}
