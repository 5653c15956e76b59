//! RFC 3261 as a user agent server.
