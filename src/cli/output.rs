//! What commands print on standard output: tables for people, JSON for programs.

use std::io::{self, Write as _};

use serde::Serialize;

/// One column of a table: its heading and what it shows of a row.
pub type Column<'a, T> = (&'static str, &'a dyn Fn(&T) -> String);

/// Prints rows as a table with headings, or with `as_json` as an array of objects.
pub fn rows<T: Serialize>(rows: &[T], columns: &[Column<'_, T>], as_json: bool) -> anyhow::Result<()> {
    if as_json { json(&rows) } else { text(&table(rows, columns)) }
}

/// Prints what is known about one thing, a line each.
pub fn facts(facts: &[(&str, String)]) -> anyhow::Result<()> {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: String = facts.iter().map(|(name, value)| format!("{name:width$}  {}\n", printable(value))).collect();
    text(&lines)
}

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

/// What a caller or subscriber wrote, without anything that a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn table<T>(rows: &[T], columns: &[Column<'_, T>]) -> String {
    let mut lines = vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| columns.iter().map(|(_, cell)| printable(&cell(row))).collect()));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [("1001", "Zoë"), ("2", "A\u{1b}[31m")];

        let text = table(&rows, &[("NUMBER", &|row| row.0.to_owned()), ("NAME", &|row| row.1.to_owned())]);

        assert_eq!(text, "NUMBER  NAME\n1001    Zoë\n2       A\u{fffd}[31m\n");
    }
}
