//! What the tests talk to.

pub mod aiosmtpd;
pub mod baresip;
pub mod caller;
pub mod certificate;
pub mod chromium;
pub mod dns;
pub mod impaired_network;
pub mod kamailio;
pub mod lamp;
pub mod linphone;
pub mod pjsip;
pub mod postgres;
pub mod process;
pub mod raw;
pub mod raw_call;
pub mod server;
pub mod sipp;
pub mod smtp;
pub mod tls;
