//! HTTP API and live tail; knows ports, never a driver.
