//! The numbers of the questions: widths in seconds, and from what on something counts. Windows are half-open, in event
//! time, and aligned to the unix epoch.

/// Screening statistics are per chat and minute.
pub const MINUTE_S: i64 = 60;

/// A trend is counted over an hour and compared with the hour before.
pub const TREND_WIDTH_S: i64 = 3_600;
/// Every quarter of an hour.
pub const TREND_SLIDE_S: i64 = 900;
/// From so many messages of the window on, it is one.
pub const TREND_MIN: u64 = 5;

/// A burst is a quarter of an hour.
pub const BURST_WIDTH_S: i64 = 900;
/// Compared with the mean of so many windows before it: two hours.
pub const BURST_BASELINE: i64 = 8;
/// It must be so many times that mean.
pub const BURST_FACTOR: u64 = 3;
/// And of a chat have so many messages.
pub const CHAT_BURST_MIN: u64 = 10;
/// Of a term so many.
pub const TERM_BURST_MIN: u64 = 5;

/// Whether a chat fell silent is asked on the hour.
pub const SILENCE_STEP_S: i64 = 3_600;
/// It did if nothing was sent for so long, and in the hour before something was.
pub const SILENCE_AFTER_S: i64 = 6 * 3_600;
/// And at least [`SILENCE_MIN`] messages in the time of this length that ends with the silence: it is no quiet chat.
pub const SILENCE_DAY_S: i64 = 24 * 3_600;
/// See [`SILENCE_DAY_S`].
pub const SILENCE_MIN: u64 = 12;

/// The spread of a story is counted over an hour.
pub const SPREAD_WIDTH_S: i64 = 3_600;
/// Every quarter of an hour.
pub const SPREAD_SLIDE_S: i64 = 900;

/// How long Arroyo waits for messages that come out of order. What comes later is late: there it is left out; the stored
/// rows count it where it belongs.
pub const LATENESS_S: i64 = 5;
