//! Integration tests on fakes: golden flows, replay properties, API, tail.
