//! The JSON of an export as a stream of events: one per entry of a `messages` list, one per chat.

use std::{
    cell::{Cell, RefCell},
    fmt,
    io::{self, BufRead as _, BufReader, Read},
    ops::ControlFlow,
};

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{error::Category, value::RawValue};
use telesift_schemas::ExportChat;

/// What stands in an export.
pub(super) enum Event<'a> {
    /// One entry of the `messages` of the chat numbered `chat` (from 0, in file order), byte for byte; with the chat's header
    /// where all of it stands before its messages.
    Entry {
        chat: usize,
        header: Option<&'a ExportChat>,
        raw: &'a RawValue,
    },
    /// The end of that chat, with its header if it has one.
    ChatEnd {
        chat: usize,
        header: Option<ExportChat>,
    },
}

/// Takes an event and the bytes read so far.
pub(super) type OnEvent<'a> = dyn FnMut(Event<'_>, u64) -> ControlFlow<()> + 'a;

/// Why a file is no export.
#[derive(Debug)]
pub(super) enum Error {
    /// The file cannot be read.
    Io(io::Error),
    /// Line (from 1) and column of the byte at fault: from 1, or 0 for the line feed before the line.
    Syntax {
        line: usize,
        column: usize,
        cause: String,
    },
    /// The file ends too early.
    CutShort { cause: String },
    /// An entry that is no message, by its place in its list, from 1.
    NotAnObject { byte_offset: u64, number: u64 },
    /// An entry that no memory should hold.
    EntryTooLong { byte_offset: u64 },
    /// Valid JSON, but nothing to import in it.
    NoChats,
}

/// The longest entry taken, in bytes: a message of 4,096 characters has a few ten thousand with all its entities, and the
/// log takes twice as much. Entries are held in memory whole.
pub(super) const MAX_ENTRY_BYTES: u64 = 8 << 20;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(e) => e.fmt(f),
            Error::Syntax { cause, .. } => f.write_str(cause),
            Error::CutShort { cause } => {
                write!(f, "the file ends in the middle ({cause}): was the export or the download cut short?")
            }
            Error::EntryTooLong { .. } => {
                write!(f, "an entry of `messages` is longer than {} MiB: no message is", MAX_ENTRY_BYTES >> 20)
            }
            Error::NotAnObject { number, .. } => write!(f, "entry {number} of `messages` is not an object"),
            Error::NoChats => f.write_str(
                "no chats found: expected the `result.json` of a Telegram Desktop export, with `messages` or `chats.list`",
            ),
        }
    }
}

/// Parses `input` to its end, or until `on_event` breaks (which is no error).
pub(super) fn parse(input: &mut dyn Read, on_event: &mut OnEvent<'_>) -> Result<(), Error> {
    let n_read = Cell::new(0u64);
    let (entry_from, stopped) = (Cell::new(None), Cell::new(None));
    let mut reader = BufReader::with_capacity(1 << 16, input);
    n_read.set(skip_byte_order_mark(&mut reader).map_err(Error::Io)?);
    let walk = Walk {
        on_event: RefCell::new(on_event),
        n_read: &n_read,
        n_chats: Cell::new(0),
        is_listed: Cell::new(false),
        entry_from: &entry_from,
        stopped: &stopped,
    };
    let mut json = serde_json::Deserializer::from_reader(Counting {
        reader,
        n_read: &n_read,
        entry_from: &entry_from,
        stopped: &stopped,
    });
    let outcome = Chat {
        walk: &walk,
        is_root: true,
    }
    .deserialize(&mut json)
    .and_then(|()| json.end());
    match (walk.stopped.get(), outcome) {
        (Some(Stop::Asked), _) => Ok(()),
        (
            Some(Stop::NotAnObject {
                byte_offset,
                number,
            }),
            _,
        ) => Err(Error::NotAnObject {
            byte_offset,
            number,
        }),
        (Some(Stop::EntryTooLong { byte_offset }), _) => Err(Error::EntryTooLong { byte_offset }),
        (None, Ok(())) if walk.n_chats.get() == 0 && !walk.is_listed.get() => Err(Error::NoChats),
        (None, Ok(())) => Ok(()),
        (None, Err(e)) => Err(explain(e)),
    }
}

/// The parser's error, its words without its own " at line … column …".
fn explain(error: serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let place = format!(" at line {line} column {column}");
    let cause = text.strip_suffix(&place).unwrap_or(&text).to_owned();
    match error.classify() {
        Category::Io => Error::Io(error.into()),
        Category::Eof => Error::CutShort { cause },
        Category::Syntax | Category::Data => Error::Syntax {
            line,
            column,
            cause,
        },
    }
}

/// The mark some editors put before UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Gives the number of bytes skipped.
fn skip_byte_order_mark(reader: &mut BufReader<&mut dyn Read>) -> io::Result<u64> {
    if !reader.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
        return Ok(0);
    }
    reader.consume(BYTE_ORDER_MARK.len());
    Ok(BYTE_ORDER_MARK.len() as u64)
}

/// Counts what the parser has taken, not what lies read in the buffer; gives it no more of an entry that is too long.
struct Counting<'n, R> {
    reader: R,
    n_read: &'n Cell<u64>,
    entry_from: &'n Cell<Option<u64>>,
    stopped: &'n Cell<Option<Stop>>,
}

impl<R: Read> Read for Counting<'_, R> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        let n_read = self.n_read.get() + n as u64;
        self.n_read.set(n_read);
        match self.entry_from.get() {
            Some(byte_offset) if n_read - byte_offset > MAX_ENTRY_BYTES => {
                self.stopped.set(Some(Stop::EntryTooLong { byte_offset }));
                Err(io::ErrorKind::FileTooLarge.into())
            }
            _ => Ok(n),
        }
    }
}

/// State of one parse, shared by the visitors.
struct Walk<'w, 'e> {
    on_event: RefCell<&'w mut OnEvent<'e>>,
    n_read: &'w Cell<u64>,
    n_chats: Cell<usize>,
    /// Whether there was a list of chats, be it empty.
    is_listed: Cell<bool>,
    /// Where the entry being read begins.
    entry_from: &'w Cell<Option<u64>>,
    stopped: &'w Cell<Option<Stop>>,
}

/// Why the walk was left before the end of the file, by the walk itself.
#[derive(Clone, Copy)]
enum Stop {
    /// Nobody wants to hear more.
    Asked,
    NotAnObject {
        byte_offset: u64,
        number: u64,
    },
    EntryTooLong {
        byte_offset: u64,
    },
}

impl Walk<'_, '_> {
    fn emit<E: de::Error>(&self, event: Event<'_>) -> Result<(), E> {
        let flow = (*self.on_event.borrow_mut())(event, self.n_read.get());
        if flow.is_break() {
            Err(self.stop(Stop::Asked))
        } else {
            Ok(())
        }
    }

    /// The error that makes the parser return; [`parse`] looks at the reason, not at it.
    fn stop<E: de::Error>(&self, why: Stop) -> E {
        self.stopped.set(Some(why));
        E::custom("stopped")
    }
}

/// A chat object; the root of a single-chat export is one too, and the root of a full-account export looks alike.
struct Chat<'c, 'w, 'e> {
    walk: &'c Walk<'w, 'e>,
    is_root: bool,
}

impl<'de> DeserializeSeed<'de> for Chat<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Chat<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root {
            "a Telegram Desktop export (an object)"
        } else {
            "a chat (an object)"
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut header = Header::default();
        let mut entries: Option<(usize, u64)> = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => {
                    let id: Option<Id> = map.next_value()?;
                    set(&mut header.id, "id", id.map(|Id(id)| id))?;
                }
                "type" => set(&mut header.kind, "type", map.next_value()?)?,
                "name" => set(&mut header.name, "name", map.next_value()?)?,
                "messages" if entries.is_some() => {
                    return Err(de::Error::duplicate_field("messages"));
                }
                "messages" => {
                    let chat = self.walk.n_chats.get();
                    self.walk.n_chats.set(chat + 1);
                    let n = map.next_value_seed(Entries {
                        walk: self.walk,
                        chat,
                        header: header.whole(),
                    })?;
                    entries = Some((chat, n));
                }
                "chats" | "left_chats" if self.is_root => {
                    map.next_value_seed(ChatList { walk: self.walk })?
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let Some((chat, n_entries)) = entries else {
            return Ok(());
        };
        let header = match header.known() {
            Err(_) if n_entries == 0 => None,
            Err(missing) => {
                let what = format_args!("a chat with messages has no `{missing}`");
                return Err(de::Error::custom(what));
            }
            Ok(header) => Some(header),
        };
        self.walk.emit(Event::ChatEnd { chat, header })
    }
}

/// A chat's id; some tools write their numbers as texts.
struct Id(i64);

impl<'de> de::Deserialize<'de> for Id {
    fn deserialize<D: de::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of a chat (a whole number)")
    }
    fn visit_i64<E>(self, id: i64) -> Result<Id, E> {
        Ok(Id(id))
    }
    fn visit_u64<E: de::Error>(self, id: u64) -> Result<Id, E> {
        let unexpected = de::Unexpected::Unsigned(id);
        let id = i64::try_from(id).map_err(|_| E::invalid_value(unexpected, &self));
        id.map(Id)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
        let id = text.parse().map(Id);
        id.map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// What was read of a chat's header; the outer `Option` tells whether the field was there.
#[derive(Default)]
struct Header {
    id: Option<Option<i64>>,
    kind: Option<Option<String>>,
    name: Option<Option<String>>,
}

impl Header {
    /// The header, or which field it lacks.
    fn known(&self) -> Result<ExportChat, &'static str> {
        Ok(ExportChat {
            id: self.id.flatten().ok_or("id")?,
            kind: self.kind.clone().flatten().ok_or("type")?,
            name: self.name.clone().flatten(),
        })
    }

    /// The header, if nothing of it can still come.
    fn whole(&self) -> Option<ExportChat> {
        self.name.as_ref()?;
        self.known().ok()
    }
}

/// Sets a field that must not come twice: which of the two counted would depend on where the messages stand.
fn set<T, E: de::Error>(field: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

/// `{"about": …, "list": [chat, …]}`
struct ChatList<'c, 'w, 'e> {
    walk: &'c Walk<'w, 'e>,
}

impl<'de> DeserializeSeed<'de> for ChatList<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ChatList<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a `list` of chats")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "list" {
                self.walk.is_listed.set(true);
                map.next_value_seed(Chats { walk: self.walk })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Chats<'c, 'w, 'e> {
    walk: &'c Walk<'w, 'e>,
}

impl<'de> DeserializeSeed<'de> for Chats<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Chats<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of chats")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq
            .next_element_seed(Chat {
                walk: self.walk,
                is_root: false,
            })?
            .is_some()
        {}
        Ok(())
    }
}

/// The `messages` of one chat; gives their number.
struct Entries<'c, 'w, 'e> {
    walk: &'c Walk<'w, 'e>,
    chat: usize,
    header: Option<ExportChat>,
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_, '_> {
    type Value = u64;
    fn deserialize<D: de::Deserializer<'de>>(self, d: D) -> Result<u64, D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_, '_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<u64, A::Error> {
        let mut n = 0;
        let mut next = || {
            self.walk.entry_from.set(Some(self.walk.n_read.get()));
            let raw = seq.next_element::<Box<RawValue>>();
            self.walk.entry_from.set(None);
            raw
        };
        while let Some(raw) = next()? {
            n += 1;
            if !raw.get().starts_with('{') {
                return Err(self.walk.stop(self.not_an_object(&raw, n)));
            }
            self.walk.emit(Event::Entry {
                chat: self.chat,
                header: self.header.as_ref(),
                raw: &raw,
            })?;
        }
        Ok(n)
    }
}

impl Entries<'_, '_, '_> {
    fn not_an_object(&self, raw: &RawValue, number: u64) -> Stop {
        // A number ends where the parser has seen the byte after it.
        let n_ahead = u64::from(raw.get().ends_with(|c: char| c.is_ascii_digit()));
        let byte_offset = self
            .walk
            .n_read
            .get()
            .saturating_sub(raw.get().len() as u64 + n_ahead);
        Stop::NotAnObject {
            byte_offset,
            number,
        }
    }
}
