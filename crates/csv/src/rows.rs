//! The rows of a file: its records without the header and blank lines, all of one width, their NULLs told apart.
//!
//! Here it is decided which rows are good, so that both passes agree on it.

use crate::column::holds;
use crate::error::{CsvError, RowFault, shortened};
use crate::found::Found;
use crate::header::{Header, by_rule};
use crate::input::Input;
use crate::records::{Record, Records, count_lines};
use crate::settings::{ColumnType, CsvSettings, OnBadRow};
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
    found: Found,
    header: Header,
    names: Vec<String>,
    /// The types that are set, in the order of the columns.
    set_types: Vec<Option<ColumnType>>,
    any_type_set: bool,
    null: Vec<String>,
    quarantines: bool,
    /// The first record is a row, not a header, and not yet given out.
    first_is_due: bool,
    /// No row but blank lines so far.
    only_blank: bool,
    count: u64,
    bad: u64,
}

/// What [`Rows::advance`] came to.
#[derive(Debug)]
pub(crate) enum Row {
    Good,
    /// Refused, and to be set aside. Comes only where the settings ask for it.
    Bad(RowFault),
    End,
}

impl Rows {
    /// Opens the file and reads its first record.
    pub(crate) fn open(input: &Input, settings: &CsvSettings, limits: Limits) -> Result<Self, CsvError> {
        check_dialect(input, settings)?;
        let path = input.path().to_owned();
        let open = || {
            let (bytes, compression) = input.open()?;
            let text = Text::open(bytes, settings.encoding.unwrap_or_default(), limits.block_bytes);
            let text = text.map_err(|source| CsvError::Read {
                path: path.clone(),
                source,
            })?;
            Ok((text, compression))
        };
        let last_line = match settings.skip_footer {
            0 => None,
            skipped => {
                let lines = count_lines(&path, open()?.0, limits.record_bytes_max)?;
                Some(lines.saturating_sub(skipped))
            }
        };
        let (text, compression) = open()?;
        let mut records = Records::open(path.clone(), text, settings, last_line, limits.record_bytes_max)?;
        // A breach in the first record is an error whatever the settings.
        if let Record::End = records.advance()? {
            return Err(CsvError::Empty { path });
        }
        let columns = records.field_count();
        if columns > COLUMNS_MAX {
            return Err(CsvError::TooManyColumns {
                path: records.path().to_owned(),
                line: records.line(),
                found: columns,
                columns_max: COLUMNS_MAX,
            });
        }
        let header = Header::read(&records, settings);
        let names = header.renamed(settings)?;
        let set = |name: &String| settings.rename.values().any(|new_name| new_name == name);
        let renamed = header.names.iter().zip(&names);
        let renamed =
            renamed.filter(|(name, new_name)| name != new_name && by_rule(name) == **new_name && !set(new_name));
        let found = Found {
            delimiter: (settings.delimiter.is_none() && columns > 1).then(|| char::from(records.dialect().delimiter)),
            header: settings.header.is_none().then_some(true),
            compression,
            encoding: settings.encoding.is_none().then(|| records.encoding()),
            renamed: renamed
                .map(|(name, new_name)| (name.clone(), new_name.clone()))
                .collect(),
        };
        Ok(Self {
            found,
            set_types: set_types(input, settings, &header)?,
            any_type_set: !settings.columns.is_empty(),
            null: settings.null.clone(),
            quarantines: settings.on_bad_row == OnBadRow::Quarantine,
            first_is_due: !settings.has_header(),
            only_blank: true,
            count: 0,
            bad: 0,
            records,
            header,
            names,
        })
    }

    /// Goes to the next row; blank lines are passed over.
    pub(crate) fn advance(&mut self) -> Result<Row, CsvError> {
        loop {
            let record = if std::mem::take(&mut self.first_is_due) {
                Record::Sound
            } else {
                self.records.advance()?
            };
            let fault = match record {
                Record::End => return Ok(Row::End),
                Record::Broken(fault) => fault,
                Record::Sound if self.records.field_count() != self.names.len() => {
                    if self.records.is_blank() {
                        continue;
                    }
                    let fault = RowFault::Ragged {
                        expected: self.names.len(),
                        found: self.records.field_count(),
                        delimiter: char::from(self.records.dialect().delimiter),
                        lines_before: self.may_be_header().then(|| self.line() - 1),
                    };
                    if self.quarantines && self.records.takes_several_lines() {
                        // A quote too many far above may have swallowed every row since.
                        return Err(CsvError::Uncertain {
                            path: self.records.path().to_owned(),
                            line: self.line(),
                            fault,
                            several_lines: true,
                        });
                    }
                    fault
                }
                Record::Sound => match self.misfit() {
                    Some(fault) => fault,
                    None => {
                        self.only_blank &= self.records.is_blank();
                        self.count += 1;
                        return Ok(Row::Good);
                    }
                },
            };
            if !self.quarantines {
                return Err(CsvError::Row {
                    path: self.records.path().to_owned(),
                    line: self.line(),
                    fault,
                });
            }
            self.only_blank = false;
            self.bad += 1;
            return Ok(Row::Bad(fault));
        }
    }

    /// Whether it is the first row, and has more fields than the line before: that one may be a title.
    fn may_be_header(&self) -> bool {
        self.only_blank && self.records.field_count() > self.names.len() && !self.records.takes_several_lines()
    }

    /// The first cell of the current row that the type set for its column can't hold.
    fn misfit(&self) -> Option<RowFault> {
        if !self.any_type_set {
            return None; // most files: spares them a second look at every cell
        }
        let mut typed = self.set_types.iter().enumerate().zip(self.cells());
        typed.find_map(|((position, column_type), cell)| match (column_type, cell) {
            (Some(column_type), Some(cell)) if !holds(*column_type, cell) => Some(RowFault::Value {
                column: self.header.key(position),
                value: shortened(cell),
                column_type: *column_type,
            }),
            _ => None,
        })
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

    /// The current row as it stands in the file, without its line end.
    pub(crate) fn text(&self) -> &str {
        self.records.text()
    }

    /// The line at which the current row starts.
    pub(crate) fn line(&self) -> u64 {
        self.records.line()
    }

    /// How the file is read where no setting says it.
    pub(crate) fn found(&self) -> &Found {
        &self.found
    }

    /// The column's name in the header, or what stands for it.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The columns' names in the lake.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The types that are set, in the order of the columns.
    pub(crate) fn set_types(&self) -> &[Option<ColumnType>] {
        &self.set_types
    }

    /// Good rows so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Bad rows so far.
    pub(crate) fn bad(&self) -> u64 {
        self.bad
    }

    /// The byte between two fields, as set or as found.
    pub(crate) fn delimiter(&self) -> u8 {
        self.records.dialect().delimiter
    }

    /// The digest of the file's bytes, once `advance` has come to the end.
    pub(crate) fn digest(&self) -> u64 {
        self.records.digest()
    }
}

/// The type of each column, if one is set for it.
fn set_types(input: &Input, settings: &CsvSettings, header: &Header) -> Result<Vec<Option<ColumnType>>, CsvError> {
    let mut types = vec![None; header.columns()];
    for (column, column_type) in &settings.columns {
        let position = header.position("columns", column)?;
        let refusal = |reason| CsvError::Settings {
            path: input.path().to_owned(),
            reason,
        };
        if !column_type.is_valid() {
            return Err(refusal(format!(
                "column {column:?}: `{column_type}` needs 1 ≤ precision ≤ 38 and scale ≤ precision"
            )));
        }
        if types[position].replace(*column_type).is_some() {
            return Err(refusal(format!("`columns` sets two types for column {}", position + 1)));
        }
    }
    Ok(types)
}

fn check_dialect(input: &Input, settings: &CsvSettings) -> Result<(), CsvError> {
    let CsvSettings {
        delimiter,
        quote,
        escape,
        comment,
        ..
    } = *settings;
    let shaping = [
        ("delimiter", delimiter),
        ("quote", Some(quote)),
        ("escape", escape),
        ("comment", comment),
    ];
    let refusal = |reason| CsvError::Settings {
        path: input.path().to_owned(),
        reason,
    };
    for (place, (setting, byte)) in shaping.into_iter().enumerate() {
        let Some(byte) = byte else { continue };
        if !byte.is_ascii() || matches!(byte, 0 | b'\n' | b'\r') {
            return Err(refusal(format!(
                "`{setting}` must be one ASCII character that ends no line, not 0x{byte:02X}"
            )));
        }
        if let Some((other, _)) = shaping[..place].iter().find(|(_, other)| *other == Some(byte)) {
            return Err(refusal(format!("`{other}` and `{setting}` must differ")));
        }
    }
    Ok(())
}
