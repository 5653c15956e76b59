//! Whole-server, store and interop tests: one binary, a file per behaviour.

mod support;

mod architecture;
mod browser;
mod calls;
mod codecs;
mod commands;
mod crash;
mod deposit;
mod explain;
mod encryption;
mod faults;
mod hang_up;
mod impaired;
mod interop_baresip;
mod interop_kamailio;
mod interop_linphone;
mod interop_pjsip;
mod interop_sipp;
mod jobs;
mod limits;
mod line_calls;
mod lines;
mod login;
mod mail;
mod media;
mod mwi;
mod outgoing;
mod rejection;
mod resolving;
mod retrieval;
mod sip_transport;
mod store;
mod terminal;
mod tls;
mod websocket;
