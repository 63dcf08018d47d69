//! The owner of a partition on a log without transactions: what it writes, and what it must know before.

use bytes::Bytes;
use telesift_ports::{
    ledger::StageState,
    record_log::{NewRecord, UniqueKey},
};
use telesift_schemas::{Marker, Offset, Origin, TopicPartition};

use super::{
    Screen,
    plan::{DUPLICATE, Kind, Plan},
    taken::{Taken, Verdict},
};
use crate::consumer::StageError;

impl Screen {
    /// Plans a message, unless it stands there already, as far as that is for us to know: a log with transactions refuses
    /// duplicates itself.
    pub(super) fn plan_message(
        &self,
        plan: &mut Plan,
        origin: Offset,
        mut append: (TopicPartition, NewRecord),
    ) {
        let Some(taken) = &self.taken else {
            return plan.message(append);
        };
        let Some(identity) = append.1.unique.pop() else {
            return plan.message(append);
        };
        match taken.judge(origin, &identity) {
            Verdict::New if plan.identities.insert(identity) => {
                plan.written.push((origin, Some(identity)));
                plan.message(append);
            }
            Verdict::There => {
                plan.counters.received += 1;
                plan.counters.emitted += 1;
            }
            Verdict::New | Verdict::Duplicate => plan.skip(DUPLICATE),
        }
    }

    /// A marker, where it is long since anything was written.
    pub(super) fn mark(&self, plan: &mut Plan, next: Offset) {
        let is_due = self.taken.as_ref().is_some_and(|t| t.wants_marker(next));
        if !is_due || plan.kinds.contains(&Kind::Message) || next == Offset::ZERO {
            return;
        }
        let marker = Marker::screened(Origin {
            topic: self.input.topic.clone(),
            partition: self.input.partition,
            offset: Offset(next.0 - 1),
        });
        let value = serde_json::to_vec(&marker).expect("a topic and two numbers");
        let record = NewRecord {
            key: Bytes::new(),
            value: value.into(),
            unique: Vec::new(),
        };
        plan.written.push((Offset(next.0 - 1), None));
        plan.appends.push((self.output.clone(), record));
        plan.kinds.push(Kind::Marker);
    }

    /// Reads the position, and where the log has no transactions what the output holds, and whether that fits.
    pub(super) async fn take(&mut self, may_start_over: bool) -> Result<(), StageError> {
        self.load().await?;
        let Some(taken) = &mut self.taken else {
            return Ok(());
        };
        taken.catch_up(&*self.log, self.state.next).await?;
        if may_start_over && taken.lacks(self.state.counters.emitted) {
            tracing::warn!(
                topic = %self.output.topic,
                partition = self.output.partition.0,
                "the log lost messages: everything is screened again, and what is missing written"
            );
            self.state = StageState::default();
            let mut anew = Taken::new(self.output.clone());
            anew.catch_up(&*self.log, Offset::ZERO).await?;
            *taken = anew;
        }
        Ok(())
    }

    /// Notes what a commit wrote to the output.
    pub(super) async fn wrote(
        &mut self,
        written: Vec<(Offset, Option<UniqueKey>)>,
        offsets: Vec<Offset>,
        position: Offset,
    ) -> Result<(), StageError> {
        if let Some(taken) = &mut self.taken {
            // Somebody else's records in between, a frozen owner's, are read from the log.
            if !taken.extend(written, &offsets) {
                self.is_stale = true;
                taken.catch_up(&*self.log, position).await?;
                self.is_stale = false;
            }
            taken.passed(position);
        }
        Ok(())
    }
}
