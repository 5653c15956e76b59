//! Work by the calendar.
