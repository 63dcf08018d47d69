//! `decisions`: what humans decided. One module per kind: written durably first, then read back from the topic, which is
//! the truth; catalog rows are projections of it.

pub mod rules;
