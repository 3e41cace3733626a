//! Tables with a head line and columns parted by tabs.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::CorpusError;

/// The rows of a table, column by name.
#[derive(Debug)]
pub(super) struct Row(HashMap<String, String>);

impl Row {
    /// The value of a column; empty where there is none.
    pub(super) fn get(&self, column: &str) -> &str {
        self.0.get(column).map_or("", String::as_str)
    }
}

/// Reads a table.
pub(super) fn read(file: &Path) -> Result<Vec<Row>, CorpusError> {
    let failed = |message: String| CorpusError::Table {
        file: file.display().to_string(),
        message,
    };
    let text = fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let mut lines = text.lines();
    let head: Vec<&str> = match lines.next() {
        Some(line) => line.split('\t').collect(),
        None => return Err(failed("the table is empty".to_owned())),
    };
    Ok(lines
        .map(|line| {
            let values = line.split('\t').map(str::to_owned);
            Row(head
                .iter()
                .map(|name| (*name).to_owned())
                .zip(values)
                .collect())
        })
        .collect())
}
