//! What people and programs read on standard output: aligned columns without colours, or JSON, or YAML.

use std::fmt;
use std::io::{self, Write};

use chrono::DateTime;
use framefleet_model::fault::{Fault, FaultKind};
use serde::Serialize;

use crate::args::Format;

/// Columns as wide as their widest cell; the last one is not padded.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(head: [&'static str; N]) -> Self {
        Self { head: head.into(), rows: Vec::new() }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: Vec<String> = self.head.iter().map(|cell| (*cell).to_owned()).collect();
        let lines = || std::iter::once(&head).chain(&self.rows);
        let width = |column: usize| lines().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for row in lines() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A moment in milliseconds since 1970, as people write it, in UTC.
pub fn moment(ms: i64) -> String {
    let moment = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    moment.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Prints `value` as it was asked for. A reader that stops reading is no fault of ours.
pub fn print<T: Serialize>(format: Format, value: &T, table: impl FnOnce(&T) -> String) -> Result<(), Fault> {
    let text = match format {
        Format::Table => table(value),
        Format::Json => serde_json::to_string_pretty(value).map_err(|e| unprintable(e.to_string()))? + "\n",
        Format::Yaml => serde_saphyr::to_string(value).map_err(|e| unprintable(e.to_string()))?,
    };
    write(&text)
}

/// Writes text as it is.
pub fn write(text: &str) -> Result<(), Fault> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unprintable(error.to_string())),
        _ => Ok(()),
    }
}

fn unprintable(e: String) -> Fault {
    Fault::new(FaultKind::Internal, format!("the result cannot be written: {e}"))
}

/// `1.5 MiB`: for people.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut tenths, mut unit) = (bytes.saturating_mul(10), "B");
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

/// Text of others, fit for a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What is there, or a dash.
pub fn or_dash<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["cut", "why"]);
        table.row(["1".to_owned(), "start".to_owned()]);
        table.row(["1000".to_owned(), String::new()]);
        assert_eq!(table.to_string(), "cut   why\n1     start\n1000\n");
    }

    #[test]
    fn sizes_are_short() {
        let cases = [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (4 << 30, "4.0 GiB"), (u64::MAX, "1.5 EiB")];
        for (size, text) in &cases[..4] {
            assert_eq!(bytes(*size), *text);
        }
    }
}
