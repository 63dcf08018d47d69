//! Faults that a fake is told to show: one per call, in order, then none.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

/// What happens to one call.
pub enum Fault<E> {
    /// Nothing.
    Pass,
    /// It fails, without effect.
    Refuse(E),
    /// It takes effect, and its answer is lost.
    Lose(E),
    /// It waits until somebody notifies, then it is as any other.
    Hold(Arc<Notify>),
}

/// The faults still to come.
pub struct Script<E>(Mutex<VecDeque<Fault<E>>>);

impl<E> Default for Script<E> {
    fn default() -> Self {
        Script(Mutex::default())
    }
}

impl<E> fmt::Debug for Script<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

impl<E> Script<E> {
    /// Adds faults for the next calls.
    pub fn extend(&self, faults: impl IntoIterator<Item = Fault<E>>) {
        self.faults().extend(faults);
    }

    /// Whether every fault was shown.
    pub fn is_over(&self) -> bool {
        self.faults().is_empty()
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, VecDeque<Fault<E>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one call under the next fault.
    pub(super) async fn play<T>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let fault = self.faults().pop_front();
        match fault.unwrap_or(Fault::Pass) {
            Fault::Pass => call(),
            Fault::Refuse(error) => Err(error),
            Fault::Lose(error) => {
                call()?;
                Err(error)
            }
            Fault::Hold(until) => {
                until.notified().await;
                call()
            }
        }
    }
}
