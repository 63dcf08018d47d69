//! One module of a chain: a batch goes in; what comes out is told apart by offset, and a record that breaks the module is
//! found and taken out.

use fluvio_smartengine::{
    EngineError, SmartEngine, SmartModuleChainBuilder, SmartModuleChainInstance, SmartModuleConfig,
};
use fluvio_smartmodule::{
    Record,
    dataplane::smartmodule::{
        SmartModuleExtraParams, SmartModuleInitRuntimeError, SmartModuleInput,
    },
};
use telesift_guest::BatchWriter;
use telesift_ports::chain::{ChainError, ChainOutcome};
use telesift_schemas::DeadLetterCode;

use crate::{ModuleSpec, ModuleVersion, chain::Live, telemetry};

/// A call carries at most this share of the memory limit, since a guest holds input and output at once, and a parsed
/// record is some times its text.
const CALL_SHARE: usize = 32;

pub(crate) struct Module {
    engine: SmartEngine,
    spec: ModuleSpec,
    memory_limit_bytes: usize,
    instance: SmartModuleChainInstance,
    /// Whether the instance has run nothing yet, so that a trap cannot come from what it did before.
    is_fresh: bool,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Module({})", self.spec.name)
    }
}

/// What a call of the module gave.
enum Call<'a> {
    /// Some records came out, the others were filtered.
    Passed(Vec<Live<'a>>),
    /// The module returned an error for the record at index `at` of the call. Those before it are done.
    Error {
        passed: Vec<Live<'a>>,
        at: usize,
        hint: String,
    },
    /// What came out cannot be told apart by offset.
    Unclear,
    /// It panicked, or asked for more memory than it may have.
    Trap(String),
}

impl Module {
    pub(crate) fn new(
        engine: SmartEngine,
        spec: ModuleSpec,
        memory_limit_bytes: usize,
    ) -> Result<Self, ChainError> {
        let instance = build(&engine, &spec, memory_limit_bytes)?;
        Ok(Module {
            engine,
            spec,
            memory_limit_bytes,
            instance,
            is_fresh: true,
        })
    }

    pub(crate) fn version(&self) -> ModuleVersion {
        self.spec.version()
    }

    /// The records that pass. Those that fail get their outcome; those that are filtered keep theirs.
    pub(crate) fn run<'a>(
        &mut self,
        live: Vec<Live<'a>>,
        outcomes: &mut [ChainOutcome],
    ) -> Result<Vec<Live<'a>>, ChainError> {
        let mut passed = Vec::with_capacity(live.len());
        let mut rest = live.as_slice();
        while !rest.is_empty() {
            let now = &rest[..self.call_len(rest)];
            let n_done = match self.call(now) {
                Call::Passed(some) => {
                    passed.extend(some);
                    now.len()
                }
                Call::Error {
                    passed: some,
                    at,
                    hint,
                } => {
                    passed.extend(some);
                    self.fail(&now[at], DeadLetterCode::GuestError, hint, outcomes);
                    at + 1
                }
                Call::Unclear => self.run_singly(now, &mut passed, outcomes)?,
                Call::Trap(_) => {
                    self.rebuild()?;
                    self.run_singly(now, &mut passed, outcomes)?
                }
            };
            rest = &rest[n_done..];
        }
        Ok(passed)
    }

    /// One record per call, up to and with the first that traps; returns how many are done.
    ///
    /// A call costs microseconds, a rebuild a hundred milliseconds or more, so this beats halving the batch.
    fn run_singly<'a>(
        &mut self,
        live: &[Live<'a>],
        passed: &mut Vec<Live<'a>>,
        outcomes: &mut [ChainOutcome],
    ) -> Result<usize, ChainError> {
        for (i, record) in live.iter().enumerate() {
            let one = std::slice::from_ref(record);
            let was_fresh = self.is_fresh;
            let mut call = self.call(one);
            if matches!(call, Call::Trap(_)) && !was_fresh {
                // The records before it may be to blame (a guest that leaks): a record fails only by itself.
                self.rebuild()?;
                call = self.call(one);
            }
            match call {
                Call::Passed(some) => passed.extend(some),
                Call::Error { hint, .. } => {
                    self.fail(record, DeadLetterCode::GuestError, hint, outcomes);
                }
                Call::Unclear => {
                    let hint = "the module made several records of one".to_owned();
                    self.fail(record, DeadLetterCode::GuestOutput, hint, outcomes);
                }
                Call::Trap(cause) => {
                    self.fail(record, DeadLetterCode::GuestTrap, cause, outcomes);
                    self.rebuild()?;
                    return Ok(i + 1);
                }
            }
        }
        Ok(live.len())
    }

    fn fail(
        &self,
        record: &Live<'_>,
        code: DeadLetterCode,
        message: String,
        outcomes: &mut [ChainOutcome],
    ) {
        telemetry::failed(&self.spec.name, code);
        outcomes[record.index] = ChainOutcome::Failed {
            module: self.spec.name.clone(),
            code,
            message,
        };
    }

    /// How many of `live` go into one call: at least one.
    fn call_len(&self, live: &[Live<'_>]) -> usize {
        let limit = self.memory_limit_bytes / CALL_SHARE;
        let mut n_bytes = 0;
        let fitting = live.iter().take_while(|record| {
            n_bytes += record.value.len() + record.input.key.len();
            n_bytes <= limit
        });
        fitting.count().max(1)
    }

    fn call<'a>(&mut self, live: &[Live<'a>]) -> Call<'a> {
        let Some(first) = live.first() else {
            return Call::Passed(Vec::new());
        };
        // Deltas start at 1: a module that makes new records (`array_map`) gives them delta 0, which must not pass for
        // the first input.
        let base = first.input.offset.0 as i64 - 1;
        let mut bytes = Vec::new();
        let mut batch = BatchWriter::new(&mut bytes);
        for record in live {
            let key = &record.input.key;
            let key = (!key.is_empty()).then_some(key.as_ref());
            batch.push_new(record.input.offset.0 as i64 - base, key, &record.value);
        }
        batch.finish();

        self.is_fresh = false;
        match self.instance.process(SmartModuleInput::new(bytes, base, 0)) {
            Err(error) => Call::Trap(match error.downcast_ref::<EngineError>() {
                Some(EngineError::StoreMemoryExceeded { max, .. }) => {
                    format!("memory limit of {max} bytes exceeded")
                }
                _ => error.root_cause().to_string(),
            }),
            Ok(output) => {
                let failed = match output.error {
                    None => None,
                    Some(error) => match index_of(live, error.offset) {
                        Some(at) => Some((at, error.hint)),
                        None => return Call::Unclear,
                    },
                };
                match (assign(live, output.successes, base), failed) {
                    (None, _) => Call::Unclear,
                    (Some(passed), None) => Call::Passed(passed),
                    (Some(passed), Some((at, hint))) => Call::Error { passed, at, hint },
                }
            }
        }
    }

    fn rebuild(&mut self) -> Result<(), ChainError> {
        tracing::warn!(
            module = self.spec.name,
            "SmartModule trapped; building it anew"
        );
        telemetry::rebuilt(&self.spec.name);
        self.instance = build(&self.engine, &self.spec, self.memory_limit_bytes)?;
        self.is_fresh = true;
        Ok(())
    }
}

/// Gives each output to its input by offset. `None` where that does not work out: an unknown offset, or one seen before.
fn assign<'a>(live: &[Live<'a>], outputs: Vec<Record>, base: i64) -> Option<Vec<Live<'a>>> {
    if let ([only], 1) = (live, outputs.len()) {
        let value = outputs.into_iter().next()?.value.into_vec().into();
        return Some(vec![Live {
            value,
            ..only.clone()
        }]);
    }
    let mut passed = Vec::with_capacity(outputs.len());
    let mut inputs = live.iter();
    for output in outputs {
        let offset = base + output.offset_delta();
        let input = inputs.find(|i| i.input.offset.0 as i64 == offset)?;
        passed.push(Live {
            index: input.index,
            input: input.input,
            value: output.value.into_vec().into(),
        });
    }
    Some(passed)
}

fn index_of(live: &[Live<'_>], offset: i64) -> Option<usize> {
    live.iter()
        .position(|record| record.input.offset.0 as i64 == offset)
}

fn build(
    engine: &SmartEngine,
    spec: &ModuleSpec,
    memory_limit_bytes: usize,
) -> Result<SmartModuleChainInstance, ChainError> {
    let refuse = |why: String| ChainError(format!("module `{}`: {why}", spec.name));
    let config = SmartModuleConfig::builder()
        .smartmodule_names(std::slice::from_ref(&spec.name))
        .params(SmartModuleExtraParams::from(spec.params.clone()))
        .build()
        .map_err(|error| refuse(error.to_string()))?;
    let mut builder = SmartModuleChainBuilder::default();
    builder.set_store_memory_limit(memory_limit_bytes);
    builder.add_smart_module(config, spec.wasm.to_vec());
    builder.initialize(engine).map_err(|error| {
        match error.downcast_ref::<SmartModuleInitRuntimeError>() {
            Some(init) => refuse(init.hint.clone()),
            None => refuse(format!("{error:#}")),
        }
    })
}
