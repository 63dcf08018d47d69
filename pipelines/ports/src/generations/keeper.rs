//! The register in this process: read from the log, changed by compare-and-set, watched.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::{Parts, Register, STATE_KEY};
use crate::{
    RecordLog,
    record_log::{self, Transaction},
};

/// How often a change is tried anew because somebody else was faster.
const MAX_TRIES: usize = 16;

/// The generations of a log, as this process knows them. Cheap to share.
pub struct Generations {
    log: Arc<dyn RecordLog>,
    known: watch::Sender<Arc<Register>>,
}

/// Why the register cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum GenerationsError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] record_log::Error),
    /// What is stored cannot be read by this version.
    #[error("state `{STATE_KEY}` is unreadable: {0}")]
    Unreadable(String),
}

impl Generations {
    /// Reads the register.
    ///
    /// # Errors
    /// If the log fails, or holds a register this version cannot read.
    pub async fn load(log: Arc<dyn RecordLog>) -> Result<Self, GenerationsError> {
        let (register, _) = read(&*log).await?;
        Ok(Generations {
            log,
            known: watch::Sender::new(Arc::new(register)),
        })
    }

    /// A log that was never replayed: the first generation alone.
    pub fn first_only(log: Arc<dyn RecordLog>) -> Self {
        Generations {
            log,
            known: watch::Sender::new(Arc::new(Register::first())),
        }
    }

    /// The register, as last read or changed here.
    pub fn now(&self) -> Arc<Register> {
        self.known.borrow().clone()
    }

    /// What the live generation is made of.
    pub fn live(&self) -> Parts {
        self.known.borrow().live_parts()
    }

    /// Tells of changes.
    pub fn watch(&self) -> watch::Receiver<Arc<Register>> {
        self.known.subscribe()
    }

    /// Reads it again, for what other processes changed.
    ///
    /// # Errors
    /// As [`Generations::load`].
    pub async fn refresh(&self) -> Result<Arc<Register>, GenerationsError> {
        let (register, _) = read(&*self.log).await?;
        Ok(self.learn(register))
    }

    /// Changes it, durably: `change` gets it as it stands, perhaps several times, and answers what it came to. It must not
    /// change anything when it answers an error. Nothing is written where nothing is changed.
    ///
    /// # Errors
    /// The log's; the change may have happened where that is ambiguous. [`Result::Err`] of `change` is within the answer.
    pub async fn change<T, E>(
        &self,
        mut change: impl FnMut(&mut Register) -> Result<T, E> + Send,
    ) -> Result<Result<T, E>, GenerationsError>
    where
        T: Send,
        E: Send,
    {
        for _ in 0..MAX_TRIES {
            let (before, stored) = read(&*self.log).await?;
            let mut register = before.clone();
            let outcome = match change(&mut register) {
                Ok(outcome) if register != before => outcome,
                unchanged => {
                    self.learn(before);
                    return Ok(unchanged);
                }
            };
            let value = serde_json::to_vec(&register)
                .map_err(|e| GenerationsError::Unreadable(e.to_string()))?;
            let mut transaction = Transaction::appends(Vec::new());
            transaction.guards = vec![(STATE_KEY.to_owned(), stored)];
            transaction.finish =
                Box::new(move |_| vec![(STATE_KEY.to_owned(), Some(Bytes::from(value)))]);
            match self.log.commit(transaction).await {
                Ok(_) => {
                    self.learn(register);
                    return Ok(Ok(outcome));
                }
                Err(record_log::Error::GuardFailed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(record_log::Error::GuardFailed {
            key: STATE_KEY.to_owned(),
        }
        .into())
    }

    fn learn(&self, register: Register) -> Arc<Register> {
        let register = Arc::new(register);
        self.known.send_if_modified(|known| {
            let is_new = **known != *register;
            if is_new {
                *known = register.clone();
            }
            is_new
        });
        register
    }
}

async fn read(log: &dyn RecordLog) -> Result<(Register, Option<Bytes>), GenerationsError> {
    let stored = log.state(STATE_KEY).await?;
    let register = match &stored {
        None => Register::first(),
        Some(bytes) => serde_json::from_slice(bytes)
            .map_err(|e| GenerationsError::Unreadable(e.to_string()))?,
    };
    Ok((register, stored))
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use telesift_schemas::Generation;

    use super::*;
    use crate::memory::MemoryLog;

    #[tokio::test]
    async fn a_change_is_one_for_all_and_survives() {
        let log: Arc<dyn RecordLog> = Arc::new(MemoryLog::new());
        let here = Generations::load(log.clone()).await.unwrap();
        let there = Generations::load(log.clone()).await.unwrap();
        let mut watching = here.watch();
        let switch = |register: &mut Register| {
            register.live = Generation(register.live.0 + 1);
            Ok::<_, ()>(register.live)
        };
        assert_eq!(here.change(switch).await.unwrap(), Ok(Generation(2)));
        assert!(watching.has_changed().unwrap());
        watching.mark_unchanged();
        // Another process changes it upon what is stored, not upon what it last saw.
        assert_eq!(there.change(switch).await.unwrap(), Ok(Generation(3)));
        assert_eq!(here.refresh().await.unwrap().live, Generation(3));
        assert!(watching.has_changed().unwrap());
        let refused = here.change(|_| Err::<(), _>("no")).await.unwrap();
        assert_eq!(refused, Err("no"));
        assert_eq!(
            Generations::load(log).await.unwrap().now().live,
            Generation(3)
        );
    }
}
