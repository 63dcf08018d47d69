//! The JSON of an export as a stream of events: one per entry of a `messages` list, one per chat.

use std::{
    cell::Cell,
    fmt,
    io::{self, BufReader, Read},
    ops::ControlFlow,
};

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use telesift_schemas::ExportChat;

/// What stands in an export.
pub(super) enum Event<'a> {
    /// One entry of the `messages` of the chat numbered `chat` (from 0, in file order), byte for byte.
    Entry { chat: usize, raw: &'a RawValue },
    /// The end of that chat, with its header if it has one.
    ChatEnd { chat: usize, header: Option<ExportChat> },
}

/// Takes an event and the bytes read so far.
pub(super) type OnEvent<'a> = dyn FnMut(Event<'_>, u64) -> ControlFlow<()> + 'a;

/// Why a file is no export.
#[derive(Debug)]
pub(super) enum Error {
    /// The file cannot be read.
    Io(io::Error),
    /// Line and column (bytes), both from 1.
    Syntax { line: usize, column: usize, cause: String },
    /// Valid JSON, but nothing to import in it.
    NoChats,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(e) => e.fmt(f),
            Error::Syntax { cause, .. } => f.write_str(cause),
            Error::NoChats => f.write_str(
                "no chats found: expected the `result.json` of a Telegram Desktop export, with `messages` or `chats.list`",
            ),
        }
    }
}

/// Parses `input` to its end, or until `on_event` breaks (which is no error).
pub(super) fn parse(input: &mut dyn Read, on_event: &mut OnEvent<'_>) -> Result<(), Error> {
    let n_read = Cell::new(0u64);
    let counting = Counting { input, n_read: &n_read };
    let mut reader = BufReader::with_capacity(1 << 16, counting);
    skip_byte_order_mark(&mut reader).map_err(Error::Io)?;
    let walk = Walk { on_event: std::cell::RefCell::new(on_event), n_read: &n_read, n_chats: Cell::new(0), is_stopped: Cell::new(false) };
    let mut json = serde_json::Deserializer::from_reader(reader);
    let outcome = Chat { walk: &walk, is_root: true }.deserialize(&mut json).and_then(|()| json.end());
    match outcome {
        _ if walk.is_stopped.get() => Ok(()),
        Ok(()) if walk.n_chats.get() == 0 => Err(Error::NoChats),
        Ok(()) => Ok(()),
        Err(e) if e.is_io() => Err(Error::Io(e.into())),
        Err(e) => Err(Error::Syntax { line: e.line(), column: e.column(), cause: explain(&e) }),
    }
}

/// The parser's words without its own " at line … column …", in ours where people need more.
fn explain(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let cause = text.strip_suffix(&place).unwrap_or(&text);
    if error.is_eof() {
        format!("the file ends in the middle ({cause}): was the export or the download cut short?")
    } else {
        cause.to_owned()
    }
}

fn skip_byte_order_mark<R: Read>(reader: &mut BufReader<R>) -> io::Result<()> {
    use io::BufRead as _;
    if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    Ok(())
}

struct Counting<'a> {
    input: &'a mut dyn Read,
    n_read: &'a Cell<u64>,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.n_read.set(self.n_read.get() + n as u64);
        Ok(n)
    }
}

/// State of one parse, shared by the visitors.
struct Walk<'w, 'e> {
    on_event: std::cell::RefCell<&'w mut OnEvent<'e>>,
    n_read: &'w Cell<u64>,
    n_chats: Cell<usize>,
    is_stopped: Cell<bool>,
}

impl Walk<'_, '_> {
    fn emit<E: de::Error>(&self, event: Event<'_>) -> Result<(), E> {
        let flow = (*self.on_event.borrow_mut())(event, self.n_read.get());
        if flow.is_break() {
            self.is_stopped.set(true);
            return Err(E::custom("stopped"));
        }
        Ok(())
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
        f.write_str(if self.is_root { "a Telegram Desktop export (an object)" } else { "a chat (an object)" })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut id, mut kind, mut name) = (None::<i64>, None::<String>, None::<String>);
        let mut entries: Option<(usize, u64)> = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => id = map.next_value()?,
                "type" => kind = map.next_value()?,
                "name" => name = map.next_value()?,
                "messages" => {
                    let chat = self.walk.n_chats.get();
                    self.walk.n_chats.set(chat + 1);
                    let n = map.next_value_seed(Entries { walk: self.walk, chat })?;
                    entries = Some((chat, n));
                }
                "chats" | "left_chats" if self.is_root => map.next_value_seed(ChatList { walk: self.walk })?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let Some((chat, n_entries)) = entries else { return Ok(()) };
        let header = match (id, kind) {
            (Some(id), Some(kind)) => Some(ExportChat { id, kind, name }),
            _ if n_entries == 0 => None,
            (None, _) => return Err(de::Error::custom("a chat with messages has no `id`")),
            (_, None) => return Err(de::Error::custom("a chat with messages has no `type`")),
        };
        self.walk.emit(Event::ChatEnd { chat, header })
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
        while seq.next_element_seed(Chat { walk: self.walk, is_root: false })?.is_some() {}
        Ok(())
    }
}

/// The `messages` of one chat; gives their number.
struct Entries<'c, 'w, 'e> {
    walk: &'c Walk<'w, 'e>,
    chat: usize,
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
        while let Some(raw) = seq.next_element::<Box<RawValue>>()? {
            if !raw.get().starts_with('{') {
                return Err(de::Error::custom("an entry of `messages` is not an object"));
            }
            n += 1;
            self.walk.emit(Event::Entry { chat: self.chat, raw: &raw })?;
        }
        Ok(n)
    }
}
