//! Rule sets are checked, added, activated: each a decision on the topic, durable before anything follows it.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    Clock, RecordLog, RuleReader, RuleSets, RulesCatalog,
    record_log::{self, NewRecord, Outcome, StateWrite, Transaction, UniqueKey},
    rules::{
        ActivateRules, Activation, Added, InForce, Made, NewRules, RuleSet, RuleSource,
        RulesDetail, RulesError, RulesInfo, StartFrom,
    },
};
use telesift_schemas::{Decision, DecisionKind, Offset};

use super::{RulesBook, decisions, gate, positions, projection};
use crate::{identities, screen::ChainFactory};

/// How long an activation waits for the batches in flight; a batch takes a second or so.
const WAIT_FOR_BATCHES: Duration = Duration::from_secs(13);
/// How long the SmartModules may take to start with a set before it is activated.
const START_WITHIN: Duration = Duration::from_secs(15);

/// [`RuleSets`] over the topic `decisions`.
#[derive(Clone)]
pub struct RulesKeeper(Arc<Parts>);

struct Parts {
    book: Arc<RulesBook>,
    log: Arc<dyn RecordLog>,
    catalog: Arc<dyn RulesCatalog>,
    reader: Arc<dyn RuleReader>,
    chains: ChainFactory,
    clock: Arc<dyn Clock>,
}

impl RulesKeeper {
    /// Keeps the rules of `book`. `chains` must be what the screens use, `reader` what the book was loaded with.
    pub fn new(
        book: Arc<RulesBook>,
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn RulesCatalog>,
        reader: Arc<dyn RuleReader>,
        chains: ChainFactory,
        clock: Arc<dyn Clock>,
    ) -> Self {
        RulesKeeper(Arc::new(Parts {
            book,
            log,
            catalog,
            reader,
            chains,
            clock,
        }))
    }

    async fn found(&self, asked: &str) -> Result<RulesInfo, RulesError> {
        self.0.book.hold().await?.0.timeline.find(asked)
    }
}

#[async_trait]
impl RuleSets for RulesKeeper {
    async fn add(&self, new: NewRules) -> Result<Added, RulesError> {
        let parts = self.0.clone();
        detached(async move { parts.add(new).await }).await
    }

    async fn activate(&self, asked: ActivateRules) -> Result<Activation, RulesError> {
        let info = self.found(&asked.asked).await?;
        if let Err(invalid) = &info.now {
            return Err(RulesError::Refused {
                version: info.version.clone(),
                reason: invalid.to_string(),
            });
        }
        let set = self.0.book.rule_set(&info).await?;
        self.0.try_to_start(&info, set).await?;
        let parts = self.0.clone();
        detached(async move { parts.activate(info, asked).await }).await
    }

    async fn list(
        &self,
        before: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<RulesInfo>, RulesError> {
        let rows = self.0.catalog.rules_list(before, limit).await?;
        let book = self.0.book.hold().await?;
        let known = rows
            .iter()
            .filter_map(|row| book.0.timeline.exact(&row.version).cloned());
        Ok(known.collect())
    }

    async fn shipped(&self) -> Result<RulesInfo, RulesError> {
        Ok(self.0.book.hold().await?.0.timeline.shipped())
    }

    async fn get(&self, asked: &str) -> Result<RulesDetail, RulesError> {
        let info = self.found(asked).await?;
        let (data, toml) = match &info.added {
            Some(made) => {
                let (data, source) = self.0.book.added(made.decision).await?;
                (data.into(), source)
            }
            None => {
                let data = self.0.reader.shipped().data;
                let toml = self.0.reader.to_toml(&data)?;
                (data, toml)
            }
        };
        Ok(RulesDetail { info, data, toml })
    }

    async fn active(&self) -> Result<Option<Activation>, RulesError> {
        let book = self.0.book.hold().await?;
        Ok(book.0.timeline.last_activation().cloned())
    }

    async fn in_force(&self) -> Result<Vec<InForce>, RulesError> {
        let book = self.0.book.hold().await?;
        let mut all = Vec::new();
        for raw in positions::raw_partitions(&*self.0.log).await? {
            let section = book.section(raw.partition, raw.screened);
            all.push(InForce {
                partition: raw.partition,
                next: raw.screened,
                version: section.rules.now.unwrap_or(section.rules.version),
                until: section.until,
            });
        }
        Ok(all)
    }

    async fn history(
        &self,
        before: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<Activation>, RulesError> {
        let rows = self.0.catalog.activations(before, limit).await?;
        let activation = |row: telesift_ports::rules::ActivationRow| Activation {
            version: row.version,
            shipped: row.shipped,
            from: row.from,
            made: Made {
                decision: row.decision,
                at: row.at,
                by: row.by,
                note: row.note,
            },
        };
        Ok(rows.into_iter().map(activation).collect())
    }

    async fn screened_by(&self, version: &str) -> Result<Option<RuleSet>, RulesError> {
        let info = self.0.book.hold().await?.0.timeline.screened_by(version);
        match info {
            Some(info) if info.now.is_ok() => self.0.book.rule_set(&info).await.map(Some),
            _ => Ok(None),
        }
    }
}

impl Parts {
    async fn add(&self, new: NewRules) -> Result<Added, RulesError> {
        let source = match new.is_json {
            true => RuleSource::Json(&new.text),
            false => RuleSource::Toml(&new.text),
        };
        let set = self.reader.read(source)?;
        let source = match new.is_json {
            true => self.reader.to_toml(&set.data)?,
            false => new.text,
        };
        // One change at a time: whoever takes the book keeps it until the decision is read back.
        let mut pages = self.book.take(WAIT_FOR_BATCHES).await?;
        if let Some(known) = pages.timeline.screened_by(&set.version) {
            return Ok(Added {
                rules: known,
                is_new: false,
            });
        }
        let decision = self.decision(
            new.by,
            DecisionKind::RulesAdded {
                rules: set.version.clone(),
                data: set.data.to_string(),
                source,
                note: new.note,
            },
        );
        let unique = vec![identities::of_rules(&set.version)];
        pages.is_stale = true;
        self.decide(&decision, unique, Vec::new(), Vec::new())
            .await?;
        self.book.catch_up(&mut pages).await?;
        let added = pages.timeline.exact(&set.version).cloned();
        drop(pages);
        let rules = added.ok_or_else(|| {
            RulesError::Internal(format!(
                "the decision on `{}` is not read back",
                set.version
            ))
        })?;
        self.project(rules.added.as_ref().map(|m| m.decision), &decision)
            .await;
        Ok(Added {
            rules,
            is_new: true,
        })
    }

    async fn activate(
        &self,
        info: RulesInfo,
        asked: ActivateRules,
    ) -> Result<Activation, RulesError> {
        // From here on nothing is in flight: what was screened is committed, and nothing else is decided or screened
        // until this ends. Other processes, where there may be some, wait at the gate, or have claimed what they screen.
        let mut pages = self.book.take(WAIT_FOR_BATCHES).await?;
        if let (StartFrom::Latest, Some(last)) = (&asked.from, pages.timeline.last_activation()) {
            let is_same = match (last.shipped, info.shipped) {
                (false, false) => last.version == info.version,
                (last, now) => last && now,
            };
            if is_same {
                return Ok(last.clone());
            }
        }
        let shut = match self.log.is_transactional() {
            true => None,
            false => Some(gate::shut(&*self.log).await?.ok_or(RulesError::Busy)?),
        };
        // Until it is read back: whoever holds the book next reads what this leaves behind, whatever fails here.
        pages.is_stale = true;
        let decided = self.decide_to_activate(info, asked, shut.as_ref()).await;
        let is_over = decided.as_ref().is_err_and(|e| !may_be_decided(e));
        if let Some(shut) = shut.filter(|_| is_over) {
            gate::open(&*self.log, &shut).await;
        }
        let decision = decided?;
        self.book.catch_up(&mut pages).await?;
        let activation = pages.timeline.last_activation().cloned();
        drop(pages);
        let activation = activation.ok_or_else(|| {
            RulesError::Internal("the decision to activate is not read back".to_owned())
        })?;
        self.project(Some(activation.made.decision), &decision)
            .await;
        tracing::info!(rules = activation.version, decision = %activation.made.decision, "rules activated");
        Ok(activation)
    }

    /// Decides where the rules begin, and that they do.
    async fn decide_to_activate(
        &self,
        info: RulesInfo,
        asked: ActivateRules,
        shut: Option<&gate::Shut>,
    ) -> Result<Decision, RulesError> {
        let raw = positions::raw_partitions(&*self.log).await?;
        let positions = positions::starts(&raw, &asked.from)?;
        let decision = self.decision(
            asked.by,
            DecisionKind::RulesActivated {
                rules: info.version,
                from: DecisionKind::positions(&positions),
                shipped: info.shipped,
                note: asked.note,
            },
        );
        let (guards, writes) = match shut {
            None => (raw.into_iter().flat_map(|raw| raw.stored).collect(), vec![]),
            Some(shut) => (vec![shut.guard()], vec![gate::opened()]),
        };
        self.decide(&decision, Vec::new(), guards, writes).await?;
        Ok(decision)
    }

    /// Starts the SmartModules with a set, as the screens will: one that they refuse must never become active.
    async fn try_to_start(&self, info: &RulesInfo, set: RuleSet) -> Result<(), RulesError> {
        let refused = |reason: String| RulesError::Refused {
            version: info.version.clone(),
            reason,
        };
        let chains = self.chains.clone();
        let start = tokio::task::spawn_blocking(move || chains(&set).map(drop));
        match tokio::time::timeout(START_WITHIN, start).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(refused(error.to_string())),
            Ok(Err(panic)) => Err(refused(format!("the engine panicked: {panic}"))),
            Err(_) => Err(refused(format!(
                "the SmartModules did not start within {} s",
                START_WITHIN.as_secs()
            ))),
        }
    }

    fn decision(&self, by: String, decision: DecisionKind) -> Decision {
        Decision {
            v: Decision::VERSION,
            at: self.clock.now(),
            by,
            decision,
        }
    }

    /// Appends a decision, durably, if `guards` hold, and writes `writes` with it.
    async fn decide(
        &self,
        decision: &Decision,
        unique: Vec<UniqueKey>,
        guards: Vec<StateWrite>,
        writes: Vec<StateWrite>,
    ) -> Result<Vec<Outcome>, RulesError> {
        let value =
            serde_json::to_vec(decision).map_err(|e| RulesError::Internal(e.to_string()))?;
        let record = NewRecord {
            key: Bytes::from_static(b"rules"),
            value: value.into(),
            unique,
        };
        let transaction = Transaction {
            guards,
            finish: Box::new(move |_| writes),
            ..Transaction::appends(vec![(decisions(), record)])
        };
        Ok(self.log.commit(transaction).await?)
    }

    /// Writes the catalog's row at once, so that lists show it; the projection writes it again should this fail.
    async fn project(&self, offset: Option<Offset>, decision: &Decision) {
        let Some(offset) = offset else { return };
        if let Err(error) = projection::write(&*self.catalog, offset, decision).await {
            tracing::warn!(%offset, %error, "the catalog shows this rules decision later");
        }
    }
}

/// Whether what failed may stand on the topic all the same, or come to.
fn may_be_decided(error: &RulesError) -> bool {
    matches!(
        error,
        RulesError::Log(record_log::Error::Unavailable {
            ambiguous: true,
            ..
        })
    )
}

/// Runs to its end even if nobody waits any more: a client that hangs up must not leave a change half done.
async fn detached<T: Send + 'static>(
    change: impl Future<Output = Result<T, RulesError>> + Send + 'static,
) -> Result<T, RulesError> {
    let done = tokio::spawn(change).await;
    done.unwrap_or_else(|panic| Err(RulesError::Internal(panic.to_string())))
}
