//! Messages on their way from the store to units: look-ups that come while one is under way are made together as the next.

use std::{collections::HashMap, sync::Arc};

use telesift_ports::MessageStore;
use telesift_schemas::{Message, MessageKey};
use tokio::sync::{mpsc, oneshot};

/// Look-ups made together at most; more wait to be queued. Above the workers of any sane configuration.
const MAX_TOGETHER: usize = 256;

/// The way to the store.
pub(super) struct LookUps(mpsc::Sender<LookUp>);

/// Messages somebody wants.
struct LookUp {
    keys: Vec<MessageKey>,
    found: oneshot::Sender<Vec<Message>>,
}

impl LookUps {
    /// Starts looking up; ends with the last who holds this.
    pub(super) fn start(store: Arc<dyn MessageStore>) -> Self {
        let (queue, mut waiting) = mpsc::channel::<LookUp>(MAX_TOGETHER);
        tokio::spawn(async move {
            let mut together = Vec::new();
            while waiting.recv_many(&mut together, MAX_TOGETHER).await > 0 {
                look_up(&*store, std::mem::take(&mut together)).await;
            }
        });
        LookUps(queue)
    }

    /// What the store has of `keys`; `None` where look-ups together failed: who asks must look himself.
    pub(super) async fn find(&self, keys: &[MessageKey]) -> Option<Vec<Message>> {
        let (tell, found) = oneshot::channel();
        let asked = LookUp {
            keys: keys.to_vec(),
            found: tell,
        };
        self.0.send(asked).await.ok()?;
        found.await.ok()
    }
}

async fn look_up(store: &dyn MessageStore, together: Vec<LookUp>) {
    let mut keys: Vec<MessageKey> = together.iter().flat_map(|l| &l.keys).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    let found = match store.get_many(&keys).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, "messages of units are looked up one unit at a time");
            return;
        }
    };
    let found: HashMap<MessageKey, Message> = found.into_iter().map(|m| (m.id, m)).collect();
    for one in together {
        let own = one.keys.iter().filter_map(|key| found.get(key).cloned());
        // Whoever asked may have ended meanwhile.
        let _ = one.found.send(own.collect());
    }
}
