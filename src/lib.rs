//! afterbeep, a unified-messaging voicemail server, in reading order.
//!
//! A call goes from `sip` to `call`, which drives the menus of `ivr` and the audio of `media`, keeps messages in `store`,
//! and leaves it to `delivery` to send them on.

pub mod domain;
pub mod sip;
pub mod sdp;
pub mod rtp;
pub mod stun;
pub mod dtls;
pub mod audio;
pub mod media;
pub mod ivr;
pub mod manual;
pub mod store;
pub mod voice;
pub mod phone;
pub mod call;
pub mod lines;
pub mod delivery;
pub mod jobs;
pub mod config;
pub mod server;
pub mod cli;
