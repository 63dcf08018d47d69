//! What people say of messages and chats, and what that changes of what is read.

use telesift_ports::{ChatSettings, extractor::ExtractError, memory::Fault, providers::Enrich};
use telesift_schemas::{ChatId, Class, DecisionKind};

use super::line::{Line, SLOW};

const FAIL: &str = "problem: payments fail #billing";

async fn titles(line: &Line) -> Vec<String> {
    let titles = line.titles().await.into_iter();
    let known = titles.filter(|(_, status)| *status != telesift_schemas::AtomStatus::Retracted);
    known.map(|(title, _)| title).collect()
}

#[tokio::test]
async fn what_the_screen_found_nothing_in_is_read_while_a_label_calls_it_a_signal() {
    let mut line = Line::new().await;
    line.mumble(1, FAIL).await;
    line.settle().await;
    assert!(line.extractor.asked().is_empty());
    line.label(1, Some(Class::Signal)).await;
    line.settle().await;
    assert_eq!(titles(&line).await, ["payments fail"]);
    let n_asked = line.extractor.asked().len();

    // A lost catalog asks nobody: what the label changed stands on `units`.
    let before = line.everything().await;
    line.drop_catalog();
    line.settle().await;
    assert_eq!(line.everything().await, before);
    assert_eq!(line.extractor.asked().len(), n_asked);

    line.label(1, None).await;
    line.settle().await;
    assert_eq!(titles(&line).await, [""; 0], "taken back");
    line.label(1, Some(Class::WeakSignal)).await;
    line.settle().await;
    assert_eq!(titles(&line).await, ["payments fail"]);
}

#[tokio::test]
async fn a_label_of_noise_takes_what_was_read_out_and_its_end_brings_it_back() {
    let line = Line::new().await;
    line.say(1, FAIL).await;
    line.say(2, "solution: restart the gateway #billing").await;
    line.settle().await;
    assert_eq!(titles(&line).await.len(), 2);
    line.label(2, Some(Class::Noise)).await;
    line.settle().await;
    assert_eq!(titles(&line).await, ["payments fail"]);
    let n_asked = line.extractor.asked().len();
    line.label(2, None).await;
    line.settle().await;
    assert_eq!(titles(&line).await.len(), 2);
    // A label that says what the screen says too changes nothing that is read.
    line.label(1, Some(Class::Signal)).await;
    line.settle().await;
    assert_eq!(line.extractor.asked().len(), n_asked + 1);
}

/// The chat of the next unit that is asked for allows nobody to read it.
fn is_off(line: &Line) {
    let off = Fault::Refuse(ExtractError::Off);
    line.extractor.calls.extend([off]);
}

#[tokio::test]
async fn what_nobody_might_read_is_not_read_by_a_rebuild_either() {
    let mut line = Line::new().await;
    is_off(&line);
    line.say(1, FAIL).await;
    line.settle().await;
    let noted = line.extractions().await;
    assert!(noted.len() == 1 && noted[0].extractor.is_nobody());
    line.drop_catalog();
    line.settle().await;
    assert_eq!(line.extractor.asked().len(), 1);
    assert!(line.everything().await.is_empty());
    assert_eq!(line.extractions().await, noted);

    // What is said anew is read: the chat allows it by now.
    line.edit(1, 1_767_650_000, "problem: refunds fail #billing")
        .await;
    line.settle().await;
    assert_eq!(titles(&line).await, ["refunds fail"]);
}

#[tokio::test]
async fn claims_whose_words_go_while_nobody_may_read_go_with_them() {
    let line = Line::new().await;
    line.say(1, FAIL).await;
    line.say(2, "solution: restart the gateway #billing").await;
    line.settle().await;
    let stays = line.atom("payments fail").await;
    is_off(&line);
    line.edit(2, 1_767_650_000, "never mind").await;
    line.settle().await;
    assert_eq!(titles(&line).await, ["payments fail"]);
    assert_eq!(line.atom("payments fail").await, stays);
    is_off(&line);
    line.delete(1).await;
    line.settle().await;
    assert_eq!(titles(&line).await, [""; 0]);
}

#[tokio::test]
async fn settings_of_chats_come_back_with_a_lost_catalog() {
    let mut line = Line::new().await;
    let set = async |line: &Line, enrich, consent| {
        let decision = DecisionKind::ChatSet {
            chat: ChatId(7),
            enrich,
            consent,
            owner: "admin".to_owned(),
        };
        line.decide(decision).await;
    };
    set(&line, Enrich::Remote, true).await;
    line.settle().await;
    let setting = async |line: &Line| {
        let setting = line.flow.catalog.chat_setting(ChatId(7)).await.unwrap();
        setting.unwrap()
    };
    let stored = setting(&line).await;
    assert_eq!(stored.effective(), Enrich::Remote);
    assert_eq!(stored.consent.as_ref().unwrap().by, "admin");
    line.drop_catalog();
    line.settle().await;
    assert_eq!(setting(&line).await, stored);
    set(&line, Enrich::Off, false).await;
    line.settle().await;
    assert_eq!(setting(&line).await.effective(), Enrich::Off);
}

#[tokio::test]
async fn units_that_wait_for_somebody_slow_leave_room_for_others() {
    let line = Line::new().await;
    for id in 0..40 {
        line.post(SLOW, id, &format!("problem: number {id} is late #n{id}"))
            .await;
    }
    line.run(async || line.extractor.asked().len() == 8).await;
    line.post(8, 1, FAIL).await;
    let is_known = async || titles(&line).await.contains(&"payments fail".to_owned());
    line.run(is_known).await;
    line.gate.add_permits(1_000);
    line.settle().await;
    assert_eq!(line.units().await.done, 41);
}
