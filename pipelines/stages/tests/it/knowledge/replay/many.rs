//! A switch of many conversations: looked up together, committed in portions, gone on with wherever it stopped.

use super::*;

#[tokio::test]
async fn a_switch_looks_up_what_many_conversations_need_at_once() {
    const N: u64 = 40;
    let line = Line::new().await;
    for id in 0..N {
        line.post(
            8,
            id as i64,
            &format!("problem: number {id} is late #n{id}"),
        )
        .await;
    }
    line.settle().await;
    line.answers_as("2");
    let done = line.replay(false).await;
    let before = line.flow.catalog.n_look_ups();
    line.switch(&done.id, false).await;
    let n_look_ups = line.flow.catalog.n_look_ups() - before;
    assert!(line.versions().await.iter().all(|version| version == "2"));
    assert!(n_look_ups < N, "{n_look_ups}");
}

/// A process that takes one step of the stage, and dies. Whether something is left to do.
async fn one_step(line: &Line) -> bool {
    let flow = &line.flow;
    let (tell, _applied) = watch::channel(Offset::ZERO);
    let mut stage = Knowledge::new(
        flow.log.clone(),
        flow.catalog.clone(),
        flow.clock.clone(),
        tell,
    );
    let from = stage.positions().await.unwrap();
    let mut inputs = Vec::new();
    for (at, from) in Knowledge::inputs().into_iter().zip(from) {
        let batch = flow.log.read(&at, from, ReadLimits::default());
        let batch = batch.await.unwrap();
        if batch.next > from {
            inputs.push(Input { at, from, batch });
        }
    }
    stage.process(&inputs).await.unwrap();
    inputs
        .iter()
        .any(|input| stage.taken(input) < input.batch.end)
}

#[tokio::test]
async fn a_switch_of_many_conversations_is_many_commits_and_goes_on_wherever_it_stopped() {
    const N: i64 = 300;
    let mut line = Line::new().await;
    // What a busy machine gets done in the time of a call.
    let mut slow = MemoryCatalog::new();
    slow.max_changed_atoms = Some(150);
    line.flow.catalog = Arc::new(slow);
    for id in 0..N {
        let letter = |n: i64, times| char::from(b'a' + (n % 26) as u8).to_string().repeat(times);
        let (most, some) = (letter(id, 30), letter(id + 1 + id / 26, 12));
        line.post(8, id, &format!("problem: {most}{some}")).await;
    }
    line.settle().await;
    line.answers_as("2");
    let done = line.replay(false).await;
    assert_eq!(done.state, ReplayState::Done, "{done:?}");
    let make_live = |register: &mut telesift_ports::generations::Register| {
        register.live = SECOND;
        Ok::<_, ()>(())
    };
    let generations = line.generations().await;
    generations.change(make_live).await.unwrap().unwrap();
    line.decide(DecisionKind::ReadingsSwitched {
        readings: vec![SECOND],
    })
    .await;

    let mut n_steps = 1;
    while one_step(&line).await {
        n_steps += 1;
        let n_new = line.versions().await.iter().filter(|v| *v == "2").count();
        assert!(n_new > 0 && n_new < N as usize, "{n_new}");
        let in_force = line.flow.catalog.readings_in_force().await.unwrap();
        assert!(in_force.is_empty(), "it is not done: {in_force:?}");
    }
    assert!(n_steps > 2, "{n_steps}");
    line.settle().await;
    assert_eq!(line.versions().await, vec!["2"; N as usize]);
    // The same as where nothing died.
    let all = line.everything().await;
    line.drop_catalog();
    line.settle().await;
    assert_eq!(line.everything().await, all);
    assert_eq!(line.extractor.asked().len(), 2 * N as usize);
}
