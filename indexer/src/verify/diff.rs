//! Rows that should be against rows that are. Pure.

use std::collections::HashMap;

use crate::store::proof::{Row, TableRows};

/// One cell, or one whole row, that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference<'a> {
    /// The table.
    pub table: &'static str,
    /// The row within block and table.
    pub key: &'a str,
    /// The column, or what is wrong with the whole row.
    pub column: &'a str,
    /// What it should be.
    pub expected: &'a str,
    /// What is stored.
    pub stored: &'a str,
    /// The row as it should be, if there should be one.
    pub expected_row: Option<&'a Row>,
    /// The row as it is, if there is one.
    pub stored_row: Option<&'a Row>,
}

/// Compares the rows of one table, field by field, and says each difference.
pub fn compare<'a>(
    expected: &'a TableRows,
    stored: &'a TableRows,
    say: &mut dyn FnMut(Difference<'a>),
) {
    let table = expected.table;
    let mut theirs: HashMap<&str, &Row> = stored.rows.iter().map(|r| (r.key.as_str(), r)).collect();
    for row in &expected.rows {
        let found = theirs.remove(row.key.as_str());
        let mut differ = |column, expected, stored| {
            say(Difference {
                table,
                key: &row.key,
                column,
                expected,
                stored,
                expected_row: Some(row),
                stored_row: found,
            });
        };
        let Some(found) = found else {
            differ("missing row", "present", "absent");
            continue;
        };
        for ((column, expected), (_, stored)) in row.fields.iter().zip(&found.fields) {
            if expected != stored {
                differ(*column, expected.as_str(), stored.as_str());
            }
        }
    }
    for row in &stored.rows {
        if theirs.contains_key(row.key.as_str()) {
            say(Difference {
                table,
                key: &row.key,
                column: "surplus row",
                expected: "absent",
                stored: "present",
                expected_row: None,
                stored_row: Some(row),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, &str)]) -> TableRows {
        let row = |(key, amount): &(&str, &str)| Row {
            key: (*key).to_owned(),
            fields: vec![("amount", (*amount).to_owned())],
        };
        TableRows {
            table: "event",
            rows: rows.iter().map(row).collect(),
        }
    }

    #[test]
    fn cells_and_whole_rows_are_told_apart() {
        let expected = rows(&[("1", "5"), ("2", "6"), ("3", "7")]);
        let stored = rows(&[("1", "5"), ("2", "60"), ("4", "8")]);
        let mut said = Vec::new();
        compare(&expected, &stored, &mut |d| {
            said.push((d.key, d.column, d.expected, d.stored));
        });
        assert_eq!(
            said,
            [
                ("2", "amount", "6", "60"),
                ("3", "missing row", "present", "absent"),
                ("4", "surplus row", "absent", "present"),
            ]
        );
    }
}
