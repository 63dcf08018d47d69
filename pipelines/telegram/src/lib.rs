//! Telegram sources: desktop exports, and in time webhook, polling and MTProto.

mod export;

pub use export::DesktopExport;
