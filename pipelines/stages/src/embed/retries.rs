//! Texts a model refused, tried again where somebody asks; taken up when nothing else waits.

use telesift_ports::{dead_letters::RetryRequest, embedder::EmbedError};
use telesift_schemas::{DeadLetterCode, Message, MessageKey, TopicPartition};

use super::{Embed, kept_from};
use crate::{
    consumer::{StageError, nothing},
    dead_letter::{Refusal, Retry},
};

impl Embed {
    /// Ends every retry that was asked for. A version that is refused no more, because it was edited, deleted or embedded
    /// since, or its chat is kept here now, is solved.
    pub(super) async fn run_retries(&mut self) -> Result<(), StageError> {
        let prefix = RetryRequest::of_stage(self.stage);
        for (key, stored) in self.log.state_with_prefix(&prefix).await? {
            let Ok(request) = serde_json::from_slice::<RetryRequest>(&stored) else {
                tracing::error!(key, "a request for a retry is unreadable");
                continue;
            };
            let refused = self.refused.iter().find(|(_, o)| **o == request.origin);
            let version = refused.map(|(version, _)| *version);
            let refusal = match version {
                Some(version) => self.try_again(version).await?,
                None => None,
            };
            if let (Some(version), None) = (version, &refusal) {
                self.refused.remove(&version);
                self.count_refused();
            }
            let origin = &request.origin;
            let retry = Retry {
                at: TopicPartition::new(origin.topic.clone(), origin.partition),
                record: nothing(origin.offset),
                request,
                stage: self.stage,
                stored,
            };
            let ended = retry.ended(refusal.as_ref(), self.clock.now());
            self.log.commit(ended).await?;
        }
        Ok(())
    }

    /// Why the model refuses the version again, if it does.
    async fn try_again(
        &self,
        (key, edit): (MessageKey, i64),
    ) -> Result<Option<Refusal>, StageError> {
        let current = self.store.get(&key).await?;
        let kept = kept_from(&*self.embedder, &*self.settings).await?;
        let may_leave = |m: &Message| !kept.is_some_and(|kept| kept.keeps(m.chat.id));
        let current = current
            .filter(|m: &Message| m.edit == edit)
            .filter(may_leave);
        let Some(message) = current else {
            return Ok(None);
        };
        match self.vectors(&[message]).await {
            Ok(indexed) => {
                self.store.apply(indexed).await?;
                Ok(None)
            }
            Err(EmbedError::Refused { model, reason }) => {
                self.probe().await?;
                let message = format!("`{model}` refuses it: {reason}");
                Ok(Some(Refusal::new(DeadLetterCode::ModelRefused, message)))
            }
            Err(error) => Err(error.into()),
        }
    }
}
