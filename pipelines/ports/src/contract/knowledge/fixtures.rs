//! Units, atoms and subjects of two chats.

use telesift_schemas::{
    Atom, AtomKind, AtomStatus, Chat, ChatId, ChatKind, Class, Evidence, ExtractorRef, MessageKey,
    Offset, Origin, PartitionId, SubjectRef, Timestamp, Topic, TopicPartition, UnitMember,
};

use crate::{
    catalog::Catalog,
    contract::Must as _,
    knowledge::{AtomClaim, KnowledgeChange, Moved, StoredAtom, SubjectRow, UnitRow, UnitState},
    leases::Fence,
    ledger::{StageKey, StageState},
};

pub(super) const OPS: ChatId = ChatId(-1_001_000_000_001);
pub(super) const CITY: ChatId = ChatId(-1_001_000_000_002);

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + second).expect("a time in range")
}

pub(super) fn key(chat: ChatId, message_id: i64) -> MessageKey {
    MessageKey { chat, message_id }
}

pub(super) fn origin(topic: Topic, offset: u64) -> Origin {
    Origin {
        topic,
        partition: PartitionId(1),
        offset: Offset(offset),
    }
}

pub(super) fn unit_member(chat: ChatId, message_id: i64) -> UnitMember {
    UnitMember {
        message: key(chat, message_id),
        edit: 0,
        event_time: at(message_id),
        origin: origin(Topic::TELEGRAM_RAW, message_id.unsigned_abs()),
    }
}

pub(super) fn unit(id: &str, class: Class, messages: &[i64]) -> UnitRow {
    UnitRow {
        id: id.to_owned(),
        chat: Chat {
            id: OPS,
            title: Some("Ops".to_owned()),
            kind: ChatKind::Supergroup,
            username: None,
        },
        members: messages.iter().map(|m| unit_member(OPS, *m)).collect(),
        class,
        newest: at(messages.iter().copied().max().unwrap_or(0)),
        origin: origin(Topic::UNITS, messages[0].unsigned_abs()),
        revision: 1,
        state: UnitState::Due,
        attempts: 0,
        not_before: None,
        note: None,
        again: None,
    }
}

pub(super) fn moved(expected: Option<u64>, next: u64) -> Moved {
    Moved {
        key: StageKey {
            stage: "knowledge".to_owned(),
            input: TopicPartition::new(Topic::EXTRACTIONS, PartitionId(0)),
        },
        expected: expected.map(Offset),
        state: StageState {
            next: Offset(next),
            ..StageState::default()
        },
    }
}

pub(super) fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// An atom on `subject` whose evidence are these messages, sent at their ids.
pub(super) fn atom(id: &str, subject: &str, messages: &[MessageKey]) -> StoredAtom {
    let evidence: Vec<Evidence> = messages
        .iter()
        .map(|message| Evidence {
            message: *message,
            edit: 0,
            quote: "слова".to_owned(),
            start: 0,
            end: 5,
            origin: origin(Topic::TELEGRAM_RAW, message.message_id.unsigned_abs()),
        })
        .collect();
    let extractor = ExtractorRef {
        name: "rules".to_owned(),
        version: "1".to_owned(),
        model: None,
    };
    let times = messages.iter().map(|m| at(m.message_id));
    let (first_at, last_at) = (times.clone().min(), times.max());
    let (first_at, last_at) = (first_at.unwrap_or_default(), last_at.unwrap_or_default());
    let claim = AtomClaim {
        unit: format!("u-{id}"),
        kind: AtomKind::Problem,
        title: format!("title of {id}"),
        content: "зміст".to_owned(),
        confidence: 0.75,
        subject: Some(subject.to_owned()),
        evidence: evidence.clone(),
        links: Vec::new(),
        extractor: extractor.clone(),
        first_at,
        last_at,
    };
    StoredAtom {
        atom: Atom {
            v: Atom::VERSION,
            id: id.to_owned(),
            kind: claim.kind,
            title: claim.title.clone(),
            content: claim.content.clone(),
            confidence: claim.confidence,
            status: AtomStatus::NeedsReview,
            subject: Some(SubjectRef {
                id: subject.to_owned(),
                name: subject.to_uppercase(),
            }),
            evidence,
            links: Vec::new(),
            version: 1,
            extractor,
            unit: claim.unit.clone(),
            updated_at: at(0),
        },
        claims: vec![claim],
        review: None,
        merged_into: None,
        sources: Vec::new(),
        evidence_removed: false,
        stood_in: Vec::new(),
        first_at,
        last_at,
    }
}

pub(super) fn subject(id: &str) -> SubjectRow {
    SubjectRow {
        id: id.to_owned(),
        key: id.to_owned(),
        name: id.to_uppercase(),
        merged_into: None,
    }
}

pub(super) async fn store(catalog: &impl Catalog, atoms: Vec<StoredAtom>) {
    let change = KnowledgeChange {
        versions: atoms.iter().map(|stored| stored.atom.clone()).collect(),
        subjects: vec![subject("billing"), subject("delivery")],
        atoms,
        ..KnowledgeChange::default()
    };
    let open = Fence::open();
    catalog.apply_knowledge(&change, &[], &open).await.must();
}
