//! What the tests talk to.

pub mod aiosmtpd;
pub mod postgres;
pub mod smtp;
