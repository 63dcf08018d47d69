//! Desktop exports, the real ones we have and broken ones we made.

mod entries;
mod faults;
mod real;
mod support;
mod times;
