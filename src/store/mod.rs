//! SQL rows and audio objects; the deposit transaction; the outbox.
