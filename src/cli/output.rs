//! What commands print on standard output: tables for people, JSON for programs.

use std::io::{self, Write as _};

use serde::Serialize;

/// Prints one JSON value, laid out for reading.
pub fn json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    self::text(&text)
}

/// Prints text as it is.
pub fn text(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
