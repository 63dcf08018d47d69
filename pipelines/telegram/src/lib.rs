//! Telegram sources: desktop exports; bots, by webhook and by polling.

mod bot_api;
mod bots;
mod export;
mod telemetry;

pub use bot_api::{BotApi, CallError};
pub use bots::{BotDesk, BotDeskConfig};
pub use export::DesktopExport;
pub use telemetry::describe as describe_metrics;
