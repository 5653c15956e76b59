//! Drains the outbox.
