//! Stages that somebody else runs, for as long as a generation uses what they fill.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Mutex, PoisonError},
};

use telesift_ports::generations::{Part, Register};
use telesift_schemas::Generation;

use super::Line;
use crate::workers::Held;

/// How many stages of each part run.
#[derive(Default)]
pub(super) struct Busy(Mutex<HashMap<(Part, Generation), usize>>);

/// A stage that runs.
struct Running<'a> {
    busy: &'a Busy,
    made: (Part, Generation),
}

impl Busy {
    /// Whether stages of that part run.
    pub(super) fn is(&self, made: (Part, Generation)) -> bool {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(&made).is_some_and(|n| *n > 0)
    }

    fn begin(&self, made: (Part, Generation)) -> Running<'_> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *running.entry(made).or_default() += 1;
        Running { busy: self, made }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = self.busy.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = running.get_mut(&self.made) {
            *n = n.saturating_sub(1);
        }
    }
}

impl Line {
    /// Runs stages of a part for as long as a generation uses it, and waits for `held` to end otherwise: what is given up
    /// ends, and nothing else does. `stages` is called each time they are to run.
    ///
    /// # Errors
    /// Those of the stages.
    pub async fn while_used<E, F>(
        &self,
        made: (Part, Generation),
        held: Held,
        stages: impl Fn(Held) -> F,
    ) -> Result<(), E>
    where
        F: Future<Output = Result<(), E>>,
    {
        let stages = |held| {
            let (busy, stages) = (self.busy.begin(made), stages(held));
            async move {
                let _busy = busy;
                stages.await
            }
        };
        self.while_holds(|register| register.is_used(made), held, stages)
            .await
    }

    /// Runs stages for as long as something holds of the register, and waits otherwise.
    ///
    /// # Errors
    /// Those of the stages.
    pub(super) async fn while_holds<E, F>(
        &self,
        holds: impl Fn(&Register) -> bool,
        held: Held,
        stages: impl Fn(Held) -> F,
    ) -> Result<(), E>
    where
        F: Future<Output = Result<(), E>>,
    {
        let mut changes = self.parts.generations.watch();
        loop {
            tokio::select! {
                () = held.stop.cancelled() => return Ok(()),
                now = changes.wait_for(|register| holds(register)) => if now.is_err() {
                    return Ok(());
                },
            }
            let ending = held.child();
            let stages = stages(ending.clone());
            tokio::pin!(stages);
            tokio::select! {
                outcome = &mut stages => return outcome,
                _ = changes.wait_for(|register| !holds(register)) => {}
            }
            ending.stop.cancel();
            stages.await?;
        }
    }
}
