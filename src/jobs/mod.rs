//! Work by the calendar.
pub mod clock;
