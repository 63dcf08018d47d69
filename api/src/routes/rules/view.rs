//! Rule sets and activations as the API shows them.

use serde::Serialize;
use serde_json::value::RawValue;
use telesift_ports::rules::{Activation, InForce, RulesInfo};
use telesift_schemas::{Cursor, Epoch, Generation, Offset, PartitionId, Timestamp};

/// A rule set, without its data.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RulesView {
    /// Its identity: `name@version+hash`, as computed when it was added.
    #[schema(example = "ops@2+9c41d0aa")]
    version: String,
    /// `name` of it.
    name: String,
    /// What messages screened by it now carry in `screen.rules`. The hash is over the data and the code, so it differs from
    /// that of `version` once telesift has changed. `null` if this build cannot use the set.
    screens_as: Option<String>,
    /// Why this build cannot use the set.
    problem: Option<RulesProblem>,
    /// Whether it ships with this build, and was added by nobody.
    shipped: bool,
    /// Whether it is the one activated last.
    active: bool,
    /// When it was activated, if it is active; `null` if it ships and nobody ever activated another.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// The first offset of each partition of `telegram-raw` that it screens, if it is active; empty = from 0 on.
    from: Vec<PositionView>,
    /// When it was added.
    #[schema(value_type = Option<String>, format = DateTime)]
    added_at: Option<Timestamp>,
    /// By the key of this id.
    added_by: Option<String>,
    /// Why it was added, in words.
    note: Option<String>,
}

/// Why a rule set cannot be used.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RulesProblem {
    /// The line of its JSON, where one is to blame.
    line: Option<usize>,
    /// What is wrong with it.
    reason: String,
}

/// A place in a partition of `telegram-raw`.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PositionView {
    /// The partition.
    partition: u32,
    /// The offset in it.
    offset: u64,
}

/// A rule set with its data.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RulesDetailView {
    #[serde(flatten)]
    pub(super) rules: RulesView,
    /// The whole set, what it leaves to the shipped rules included.
    #[schema(value_type = Object)]
    pub(super) json: Box<RawValue>,
    /// What was given; the whole set where that was JSON, and of the shipped set.
    pub(super) toml: String,
}

/// The active set, and what screens next.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ActiveView {
    /// The set activated last.
    pub(super) rules: RulesView,
    /// What the screen of each partition does next.
    pub(super) partitions: Vec<InForceView>,
}

/// Which rules screen a partition next.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct InForceView {
    /// The partition of `telegram-raw`.
    partition: u32,
    /// The next offset to be screened.
    next: u64,
    /// What the message made of it will carry in `screen.rules`.
    rules: String,
    /// The offset from which on other rules count; `null` = none so far.
    until: Option<u64>,
}

/// A rule set made active.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ActivationView {
    /// The set's version; see `version` of a rule set.
    #[schema(example = "ops@2+9c41d0aa")]
    rules: String,
    /// Whether it is the set that ships, in whatever build.
    shipped: bool,
    /// The first offset of each partition of `telegram-raw` that it screens.
    from: Vec<PositionView>,
    /// The same as a cursor.
    #[schema(example = "g1@k3x9/0:124,1:7,2:0,3:55")]
    cursor: Option<String>,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// By the key of this id.
    by: String,
    /// Why, in words.
    note: Option<String>,
    /// The offset of the decision on `decisions`.
    decision: u64,
}

impl RulesView {
    /// A set, and whether it is the active one.
    pub(super) fn new(info: RulesInfo, active: Option<&Activation>) -> Self {
        let activation = active.filter(|a| match a.shipped {
            true => info.shipped,
            false => a.version == info.version,
        });
        let (screens_as, problem) = match info.now {
            Ok(version) => (Some(version), None),
            Err(invalid) => (
                None,
                Some(RulesProblem {
                    line: invalid.line,
                    reason: invalid.reason,
                }),
            ),
        };
        let (added_at, added_by, note) = match info.added {
            Some(made) => (Some(made.at), Some(made.by), made.note),
            None => (None, None, None),
        };
        RulesView {
            name: telesift_ports::rules::name_of(&info.version).to_owned(),
            version: info.version,
            screens_as,
            problem,
            shipped: info.shipped,
            active: activation.is_some() || (active.is_none() && info.shipped),
            since: activation.map(|a| a.made.at),
            from: activation.map(|a| positions(&a.from)).unwrap_or_default(),
            added_at,
            added_by,
            note,
        }
    }
}

impl ActivationView {
    pub(super) fn new(activation: Activation, epoch: &Epoch) -> Self {
        let cursor = Cursor {
            generation: Generation::FIRST,
            epoch: epoch.clone(),
            next: activation.from.clone(),
        };
        ActivationView {
            rules: activation.version,
            shipped: activation.shipped,
            from: positions(&activation.from),
            cursor: (!cursor.next.is_empty()).then(|| cursor.to_string()),
            at: activation.made.at,
            by: activation.made.by,
            note: activation.made.note,
            decision: activation.made.decision.0,
        }
    }
}

impl From<InForce> for InForceView {
    fn from(force: InForce) -> Self {
        InForceView {
            partition: force.partition.0,
            next: force.next.0,
            rules: force.version,
            until: force.until.map(|until| until.0),
        }
    }
}

fn positions(from: &[(PartitionId, Offset)]) -> Vec<PositionView> {
    let position = |(partition, offset): &(PartitionId, Offset)| PositionView {
        partition: partition.0,
        offset: offset.0,
    };
    from.iter().map(position).collect()
}
