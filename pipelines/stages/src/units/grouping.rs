//! Which messages of a chat belong together: pure, a function of what arrived and of the time it is.

use serde::{Deserialize, Serialize};
use telesift_ports::record_log::UniqueKey;
use telesift_schemas::{
    Chat, ChatKind, Class, MessageKey, Timestamp, UnitClosed, UnitEvent, UnitMember,
};

use super::{
    UnitsConfig,
    arrival::{Arrival, Kept},
};

/// The id of the unit that begins with `first`.
pub(crate) fn unit_id(first: &MessageKey) -> String {
    let UniqueKey(hash) = UniqueKey::new("unit", &[&first.to_string()]);
    let hex: String = hash[..8].iter().map(|b| format!("{b:02x}")).collect();
    format!("u-{hex}")
}

/// What a chat is in the middle of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ChatUnits {
    /// The greatest message id seen: a version of a message at or below that is no first one.
    high: Option<i64>,
    open: Vec<OpenUnit>,
}

/// A unit that may grow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OpenUnit {
    first: MessageKey,
    chat: Chat,
    thread: Option<i64>,
    members: Vec<OpenMember>,
    /// When something last joined, by our clock.
    joined_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OpenMember {
    #[serde(flatten)]
    member: UnitMember,
    class: Class,
    chars: usize,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Taken {
    /// It stands in an open or closed unit, or may have stood in one.
    Counts,
    /// It is of no use, for this reason.
    Skipped(&'static str),
}

impl ChatUnits {
    /// Takes one message in; returns what became of it and what that closes or touches, in order.
    pub(super) fn take(
        &mut self,
        arrival: Arrival,
        config: &UnitsConfig,
        now: Timestamp,
    ) -> (Taken, Vec<UnitEvent>) {
        let id = arrival.member.message.message_id;
        let is_later_version = self.high.is_some_and(|high| id <= high);
        self.high = self.high.max(Some(id));
        if let Some(events) = self.change(&arrival) {
            return (Taken::Counts, events);
        }
        let touches =
            arrival.kept == Kept::Deleted || (is_later_version && arrival.member.edit > 0);
        match arrival.kept {
            kept if touches => (Taken::Counts, vec![touched(arrival, kept)]),
            Kept::As(class) => (Taken::Counts, self.join(arrival, class, config, now)),
            Kept::Not(reason) => (Taken::Skipped(reason), Vec::new()),
            Kept::Deleted => (Taken::Skipped("deleted"), Vec::new()),
        }
    }

    /// Another version of a message that stands in an open unit takes its place there, or takes it out. `None` if there is
    /// none such.
    fn change(&mut self, arrival: &Arrival) -> Option<Vec<UnitEvent>> {
        let of = |m: &OpenMember| m.member.message == arrival.member.message;
        let unit = self
            .open
            .iter_mut()
            .find(|unit| unit.members.iter().any(of))?;
        let place = unit.members.iter().position(of)?;
        match arrival.kept {
            Kept::As(class) => {
                unit.members[place] = OpenMember {
                    member: arrival.member.clone(),
                    class,
                    chars: arrival.chars,
                };
            }
            Kept::Not(_) | Kept::Deleted => {
                unit.members.remove(place);
            }
        }
        self.open.retain(|unit| !unit.members.is_empty());
        Some(Vec::new())
    }

    fn join(
        &mut self,
        arrival: Arrival,
        class: Class,
        config: &UnitsConfig,
        now: Timestamp,
    ) -> Vec<UnitEvent> {
        let mut events = self.close_left_behind(arrival.member.event_time, config);
        let is_whole = arrival.chat.kind == ChatKind::Channel;
        let (chars, chat, thread) = (arrival.chars, arrival.chat.clone(), arrival.thread);
        let place = match is_whole {
            true => None,
            false => self.place_of(&arrival, config),
        };
        let member = OpenMember {
            member: arrival.member,
            class,
            chars,
        };
        let place = match place {
            // It does not fit in: what is there is complete.
            Some(place) if self.open[place].chars() + chars > config.max_chars => {
                events.push(self.open.remove(place).close(UnitClosed::Full));
                None
            }
            place => place,
        };
        let unit = match place {
            Some(place) => &mut self.open[place],
            None => {
                self.open.push(OpenUnit {
                    first: member.member.message,
                    chat: chat.clone(),
                    thread,
                    members: Vec::new(),
                    joined_at: now,
                });
                let last = self.open.len() - 1;
                &mut self.open[last]
            }
        };
        unit.chat = chat;
        unit.joined_at = now;
        unit.members.push(member);
        let first = unit.first;
        let is_full = unit.members.len() >= config.max_messages || unit.chars() >= config.max_chars;
        let why = match (is_whole, is_full) {
            (true, _) => UnitClosed::Whole,
            (_, true) => UnitClosed::Full,
            _ => return events,
        };
        let full = self.open.iter().position(|unit| unit.first == first);
        events.extend(full.map(|place| self.open.remove(place).close(why)));
        events
    }

    /// The unit a message belongs to: that of what it answers, else that of its thread.
    fn place_of(&self, arrival: &Arrival, config: &UnitsConfig) -> Option<usize> {
        let answered = arrival.reply_to.and_then(|id| {
            self.open.iter().position(|unit| {
                unit.members
                    .iter()
                    .any(|m| m.member.message.message_id == id)
            })
        });
        let at = arrival.member.event_time;
        answered.or_else(|| {
            self.open
                .iter()
                .position(|unit| unit.thread == arrival.thread && unit.is_near(at, config))
        })
    }

    /// Closes what the chat has been silent about for longer than the gap, or what is of another time altogether.
    fn close_left_behind(&mut self, at: Timestamp, config: &UnitsConfig) -> Vec<UnitEvent> {
        self.close_where(|unit| !unit.is_near(at, config))
    }

    /// Closes what the clock says is over: nothing joined for the gap, or, once everything is read (`is_caught_up`) and a
    /// moment has passed, the last message was sent longer ago than the gap.
    pub(super) fn close_overdue(
        &mut self,
        now: Timestamp,
        is_caught_up: bool,
        config: &UnitsConfig,
    ) -> Vec<UnitEvent> {
        self.close_where(|unit| unit.closes_at(is_caught_up, config) <= now.as_millisecond())
    }

    /// When the next unit is over, should nothing more come; unix milliseconds.
    pub(super) fn next_close(&self, config: &UnitsConfig) -> Option<i64> {
        self.open.iter().map(|u| u.closes_at(true, config)).min()
    }

    fn close_where(&mut self, is_over: impl Fn(&OpenUnit) -> bool) -> Vec<UnitEvent> {
        let (over, open) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|unit| is_over(unit));
        self.open = open;
        let over: Vec<OpenUnit> = over;
        over.into_iter()
            .map(|unit| unit.close(UnitClosed::Silence))
            .collect()
    }
}

impl OpenUnit {
    fn chars(&self) -> usize {
        self.members.iter().map(|m| m.chars).sum()
    }

    /// Whether a message sent at `at` still belongs to its time.
    fn is_near(&self, at: Timestamp, config: &UnitsConfig) -> bool {
        let times = || self.members.iter().map(|m| m.member.event_time.as_second());
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return false;
        };
        let at = at.as_second();
        at >= first.saturating_sub(config.gap_s) && at <= last.saturating_add(config.gap_s)
    }

    fn closes_at(&self, is_caught_up: bool, config: &UnitsConfig) -> i64 {
        let gap_ms = config.gap_s.saturating_mul(1_000);
        let joined_at = self.joined_at.as_millisecond();
        let silent = joined_at.saturating_add(gap_ms);
        let times = self.members.iter().map(|m| m.member.event_time);
        let (Some(last), true) = (times.max(), is_caught_up) else {
            return silent;
        };
        let settled = joined_at.saturating_add(config.settle_ms);
        let sent = last.as_millisecond().saturating_add(gap_ms);
        silent.min(sent.max(settled))
    }

    fn close(self, why: UnitClosed) -> UnitEvent {
        let class = self.members.iter().map(|m| m.class).max();
        UnitEvent::Closed {
            unit: unit_id(&self.first),
            chat: self.chat,
            members: self.members.into_iter().map(|m| m.member).collect(),
            class: class.unwrap_or(Class::WeakSignal),
            why,
        }
    }
}

fn touched(arrival: Arrival, kept: Kept) -> UnitEvent {
    UnitEvent::Touched {
        chat: arrival.chat,
        member: arrival.member,
        class: match kept {
            Kept::As(class) => Some(class),
            Kept::Not(_) | Kept::Deleted => None,
        },
        deleted: kept == Kept::Deleted,
        labelled: false,
    }
}

#[cfg(test)]
mod tests;
