//! Ends of conversations on a log without transactions: written, and forgotten before they were noted.

use telesift_ports::{
    RecordLog as _, UnitCatalog as _, memory::record_log::Fault, record_log::ReadLimits,
};
use telesift_schemas::{Offset, Topic};
use telesift_stages::{
    consumer::{Input, Process},
    projection::Projector,
    unit_catalog::UnitProjection,
    units::{Units, UnitsConfig},
};

use super::{
    FAIL, MEND,
    line::{Line, key},
};
use crate::flow::at;

fn units(line: &Line) -> Projector<Units> {
    let config = UnitsConfig {
        settle_ms: 0,
        ..UnitsConfig::default()
    };
    let flow = &line.flow;
    Units::new(
        flow.log.clone(),
        flow.clock.clone(),
        at(Topic::MESSAGES),
        config,
    )
}

/// Everything a stage has not read yet.
async fn take(line: &Line, topic: Topic, stage: &mut dyn Process) {
    let at = at(topic);
    let from = stage.positions().await.unwrap()[0];
    let read = line.flow.log.read(&at, from, ReadLimits::default());
    let batch = read.await.unwrap();
    stage.process(&[Input { at, from, batch }]).await.unwrap();
}

/// Closed by the clock, written, and the process dies before it notes so; the next one reads on before it looks at the clock.
#[tokio::test]
async fn what_joins_a_conversation_whose_written_end_was_forgotten_is_not_lost() {
    let line = Line::without_transactions().await;
    line.say(1, FAIL).await;
    let mut dying = units(&line);
    take(&line, Topic::MESSAGES, &mut dying).await;
    line.flow.log.fail_next([Some(Fault::LoseState)]);
    assert!(dying.idle().await.is_err());
    assert_eq!(line.n_units().await, 1, "it is written");

    line.say(2, MEND).await;
    for _ in 0..2 {
        // Twice: what is written once more is the same.
        let mut next = units(&line);
        take(&line, Topic::MESSAGES, &mut next).await;
        line.flow.log.fail_next([Some(Fault::LoseState)]);
        let _ = next.idle().await;
    }
    let mut next = units(&line);
    next.positions().await.unwrap();
    next.idle().await.unwrap();
    assert_eq!(line.n_units().await, 2, "once with one and once with both");

    let flow = &line.flow;
    let catalog = flow.catalog.clone();
    let inputs = vec![at(Topic::UNITS)];
    let news = std::sync::Arc::default();
    let mut shelf =
        UnitProjection::new(flow.log.clone(), catalog, flow.clock.clone(), inputs, news);
    take(&line, Topic::UNITS, &mut shelf).await;
    let both = [key(7, 1), key(7, 2)];
    let of = flow.catalog.units_of(&both).await.unwrap();
    assert_eq!(of.len(), 2, "each stands in one: {of:?}");
    assert_eq!(of[0].1, of[1].1, "the same: {of:?}");
}

impl Line {
    /// Records of `units`.
    async fn n_units(&self) -> u64 {
        let bounds = self.flow.log.bounds(&at(Topic::UNITS)).await.unwrap();
        assert_eq!(bounds.start, Offset::ZERO);
        bounds.end.0
    }
}
