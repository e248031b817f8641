//! The rows of a file: its records without the header and blank lines, all of one width, their NULLs told apart.

use crate::error::CsvError;
use crate::header::{numbered_names, read_names};
use crate::input::Input;
use crate::records::Records;
use crate::settings::CsvSettings;
use crate::split::{COLUMNS_MAX, Field};
use crate::text::Text;

/// How much is held in memory at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes read at a time.
    pub(crate) block_bytes: usize,
    /// The longest record that is accepted, in bytes of UTF-8.
    pub(crate) record_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            block_bytes: 256 << 10,
            record_bytes_max: 64 << 20,
        }
    }
}

/// One pass over the rows.
pub(crate) struct Rows {
    records: Records,
    columns: usize,
    null: Vec<String>,
    /// The first record is a row, not a header, and not yet given out.
    first_is_due: bool,
    count: u64,
}

impl Rows {
    /// Opens the file and reads its first record; returns the rows to come and the columns' names.
    pub(crate) fn open(input: &Input, settings: &CsvSettings, limits: Limits) -> Result<(Self, Vec<String>), CsvError> {
        check_dialect(input, settings)?;
        let path = input.path().to_owned();
        let text =
            Text::open(input.open()?, settings.encoding, limits.block_bytes).map_err(|source| CsvError::Read {
                path: path.clone(),
                source,
            })?;
        let mut records = Records::open(path, text, settings.delimiter, settings.quote, limits.record_bytes_max)?;
        records.advance()?;
        let columns = records.field_count();
        if columns > COLUMNS_MAX {
            return Err(CsvError::TooManyColumns {
                path: records.path().to_owned(),
                line: records.line(),
                found: columns,
                columns_max: COLUMNS_MAX,
            });
        }
        let names = if settings.header {
            read_names(&records)?
        } else {
            numbered_names(columns)
        };
        let null = settings.null.clone();
        Ok((
            Self {
                records,
                columns,
                null,
                first_is_due: !settings.header,
                count: 0,
            },
            names,
        ))
    }

    /// Goes to the next row; false at the end of the file.
    pub(crate) fn advance(&mut self) -> Result<bool, CsvError> {
        loop {
            if !std::mem::take(&mut self.first_is_due) && !self.records.advance()? {
                return Ok(false);
            }
            let found = self.records.field_count();
            if found == self.columns {
                self.count += 1;
                return Ok(true);
            }
            if !self.records.is_blank() {
                return Err(CsvError::Ragged {
                    path: self.records.path().to_owned(),
                    line: self.records.line(),
                    expected: self.columns,
                    found,
                    delimiter: char::from(self.records.dialect().delimiter),
                });
            }
        }
    }

    /// The current row's cells in order; `None` is NULL.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Option<&str>> {
        self.records
            .fields()
            .map(|field| (!self.is_null(field)).then_some(field.text))
    }

    fn is_null(&self, field: Field<'_>) -> bool {
        !field.quoted && (field.text.is_empty() || self.null.iter().any(|null| null == field.text))
    }

    /// The line at which the current row starts.
    pub(crate) fn line(&self) -> u64 {
        self.records.line()
    }

    /// The width of every row.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Rows so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The byte between two fields, as set or as found.
    pub(crate) fn delimiter(&self) -> u8 {
        self.records.dialect().delimiter
    }

    /// The digest of the file's bytes, once `advance` has said false.
    pub(crate) fn digest(&self) -> u64 {
        self.records.digest()
    }
}

fn check_dialect(input: &Input, settings: &CsvSettings) -> Result<(), CsvError> {
    let shaping = settings
        .delimiter
        .into_iter()
        .map(|byte| ("delimiter", byte))
        .chain([("quote", settings.quote)]);
    let refusal = |reason| CsvError::Settings {
        path: input.path().to_owned(),
        reason,
    };
    for (setting, byte) in shaping {
        if !byte.is_ascii() || matches!(byte, 0 | b'\n' | b'\r') {
            return Err(refusal(format!(
                "`{setting}` must be one ASCII character that ends no line, not 0x{byte:02X}"
            )));
        }
    }
    if settings.delimiter == Some(settings.quote) {
        return Err(refusal("`delimiter` and `quote` must differ".to_owned()));
    }
    Ok(())
}
