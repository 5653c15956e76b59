//! Whole-server, store and interop tests: one binary, a file per behaviour.

mod support;

mod architecture;
mod commands;
mod crash;
mod faults;
mod jobs;
mod mail;
mod sip_transport;
mod store;
mod media;
