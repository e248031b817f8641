//! Whole files, from bytes to batches.

use std::hash::{BuildHasher, RandomState};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;

mod bad_rows;
mod input;
mod names;
mod shape;

/// Splitmix64: a random test prints its seed, and `LAKE_TEST_SEED` repeats it.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded() -> Self {
        let seed = match std::env::var("LAKE_TEST_SEED") {
            Ok(seed) => seed.parse().expect("LAKE_TEST_SEED is a number"),
            Err(_) => RandomState::new().hash_one(0),
        };
        eprintln!("LAKE_TEST_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, without `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

/// A table as it was read: `name type` for each column, and the cells as Arrow shows them.
#[derive(Debug, PartialEq)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

/// Settings that differ from the default in some fields only.
fn settings(change: impl FnOnce(&mut CsvSettings)) -> CsvSettings {
    let mut settings = CsvSettings::default();
    change(&mut settings);
    settings
}

fn typed(types: &[(&str, &str)]) -> CsvSettings {
    let typed = |(name, word): &(&str, &str)| ((*name).to_owned(), word.parse().expect("a column type"));
    settings(|settings| settings.columns = types.iter().map(typed).collect())
}

fn open(bytes: &[u8], settings: &CsvSettings, block_bytes: usize) -> Result<CsvFile, CsvError> {
    let input = Input::Memory {
        name: PathBuf::from("t.csv"),
        bytes: bytes.into(),
    };
    CsvFile::from_input(
        input,
        settings,
        Limits {
            block_bytes,
            ..Limits::default()
        },
    )
}

fn table(file: &CsvFile, batch_bytes_max: usize) -> Table {
    let named = file.schema.fields().iter().zip(&file.column_types);
    let columns = named
        .map(|(field, column_type)| format!("{} {column_type}", field.name()))
        .collect();
    let mut rows = Vec::new();
    for batch in file.batches(batch_bytes_max).expect("opens again") {
        let batch = batch.expect("the file has not changed");
        assert_eq!(batch.schema(), file.schema());
        assert!(batch.num_rows() > 0);
        let options = FormatOptions::default();
        let format = |array| ArrayFormatter::try_new(array, &options).expect("can be shown");
        let arrays: Vec<_> = batch.columns().iter().map(showable).collect();
        let columns: Vec<_> = arrays.iter().map(|array| (array, format(array.as_ref()))).collect();
        for row in 0..batch.num_rows() {
            let cell = |(array, format): &(&ArrayRef, ArrayFormatter<'_>)| {
                array.is_valid(row).then(|| format.value(row).to_string())
            };
            rows.push(columns.iter().map(cell).collect());
        }
    }
    assert_eq!(rows.len() as u64, file.rows());
    Table { columns, rows }
}

/// Arrow shows a zone by its name only with a feature of its own.
fn showable(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Timestamp(_, Some(_)) => Arc::new(
            array
                .as_primitive::<TimestampMicrosecondType>()
                .clone()
                .with_timezone("+00:00"),
        ),
        _ => Arc::clone(array),
    }
}

/// Reads a file, which must give the same table whatever the blocks and the batches.
fn read_as(bytes: &[u8], settings: &CsvSettings) -> Result<Table, String> {
    let outcome = |block_bytes, batch_bytes_max| match open(bytes, settings, block_bytes) {
        Ok(file) => Ok(table(&file, batch_bytes_max)),
        Err(error) => Err(error.to_string()),
    };
    let whole = outcome(1 << 16, 1 << 20);
    for (block_bytes, batch_bytes_max) in [(4, 1 << 20), (5, 0), (7, 30), (64, 100)] {
        assert_eq!(outcome(block_bytes, batch_bytes_max), whole, "blocks of {block_bytes}");
    }
    whole
}

fn read(text: &str) -> Result<Table, String> {
    read_as(text.as_bytes(), &CsvSettings::default())
}

/// A table with the cells given as text, `∅` being NULL.
fn expected(columns: &[&str], rows: &[&[&str]]) -> Result<Table, String> {
    let cell = |cell: &&str| (*cell != "∅").then(|| (*cell).to_owned());
    Ok(Table {
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: rows.iter().map(|row| row.iter().map(cell).collect()).collect(),
    })
}

/// The file is refused with exactly this message.
fn assert_refused(bytes: &[u8], settings: &CsvSettings, message: &str) {
    assert_eq!(
        read_as(bytes, settings),
        Err(format!("t.csv: {message}")),
        "{:?}",
        bytes.escape_ascii().to_string()
    );
}

#[test]
fn every_type_is_inferred_and_converted() {
    let text = "\
id,price,ratio,big,day,at,at_utc,flag,note,nothing
1,1.50,1e-3,9223372036854775808,2024-02-29,2024-02-29 10:30,2024-02-29T10:30:00.25Z,true,007,
-2,-2.5,NaN,-5,1969-12-31,1969-12-31T23:59:59.999999,2024-02-29 10:30+02:00,False,8,
";
    let columns = [
        "id bigint",
        "price decimal(18,2)",
        "ratio double",
        "big decimal(38,0)",
        "day date",
        "at timestamp",
        "at_utc timestamptz",
        "flag boolean",
        "note text",
        "nothing text",
    ];
    let rows: [&[&str]; 2] = [
        &[
            "1",
            "1.50",
            "0.001",
            "9223372036854775808",
            "2024-02-29",
            "2024-02-29T10:30:00",
            "2024-02-29T10:30:00.250Z",
            "true",
            "007",
            "∅",
        ],
        &[
            "-2",
            "-2.50",
            "NaN",
            "-5",
            "1969-12-31",
            "1969-12-31T23:59:59.999999",
            "2024-02-29T08:30:00Z",
            "false",
            "8",
            "∅",
        ],
    ];
    assert_eq!(read(text), expected(&columns, &rows));

    let schema = open(text.as_bytes(), &CsvSettings::default(), 1 << 16)
        .expect("a sound file")
        .schema();
    assert!(schema.fields().iter().all(|field| field.is_nullable()));
    let types: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.data_type().to_string())
        .collect();
    assert_eq!(
        types,
        [
            "Int64",
            "Decimal128(18, 2)",
            "Float64",
            "Decimal128(38, 0)",
            "Date32",
            "Timestamp(µs)",
            "Timestamp(µs, \"UTC\")",
            "Boolean",
            "Utf8",
            "Utf8"
        ]
    );
}

#[test]
fn null_is_the_unquoted_empty_field() {
    assert_eq!(
        read("a,b\n,1\n\"\",\n"),
        expected(&["a text", "b bigint"], &[&["∅", "1"], &["", "∅"]])
    );
    assert_eq!(
        read("a,b\n1,\"\"\n2,3\n"),
        expected(&["a bigint", "b text"], &[&["1", ""], &["2", "3"]])
    );
    assert_eq!(
        read("a,b\n\"1\",\"2020-01-01\"\n"),
        expected(&["a bigint", "b date"], &[&["1", "2020-01-01"]])
    );

    let spelled = settings(|settings| settings.null = vec!["NULL".to_owned(), "-".to_owned()]);
    assert_eq!(
        read_as(b"a,b\n1,NULL\n-,\"NULL\"\n,null\n", &spelled),
        expected(&["a bigint", "b text"], &[&["1", "∅"], &["∅", "NULL"], &["∅", "null"]])
    );
    assert_eq!(read("a\nNULL\n"), expected(&["a text"], &[&["NULL"]]));
}

#[test]
fn the_grammar_is_rfc_4180() {
    let two = ["a text", "b text"];
    for (text, rows) in [
        ("a,b\nx,y\n", &[&["x", "y"][..]][..]),
        ("a,b\nx,y", &[&["x", "y"]]),
        ("a,b\r\nx,y\r\n", &[&["x", "y"]]),
        ("a,b\r\nx,y", &[&["x", "y"]]),
        ("a,b\rx,y\r", &[&["x", "y"]]),
        ("a,b\rx,y", &[&["x", "y"]]),
        ("a,b\nx,y\r\nz,\n", &[&["x", "y"], &["z", "∅"]]),
        ("\"a\",\"b\"\n\"x\",\"y\"", &[&["x", "y"]]),
        ("a,b\n\"x,\r\n\r\n\",\"\"\"\"\n", &[&["x,\r\n\r\n", "\""]]),
        ("a,b\n\"\"\"x\"\"\",\"y\"\"\"\"z\"\n", &[&["\"x\"", "y\"\"z"]]),
        ("a,b\n5\" pipe,x\"y\"\n", &[&["5\" pipe", "x\"y\""]]),
        ("a,b\n \"x\",y \n", &[&[" \"x\"", "y "]]),
        ("a,b\rx,\"y\nz\"\r", &[&["x", "y\nz"]]),
        ("a,b\n\"é\",😀\n", &[&["é", "😀"]]),
        ("a,b\n\nx,y\n\n\nz,w\n\n", &[&["x", "y"], &["z", "w"]]),
        ("a,b\r\n\r\nx,y\r\n\r\n", &[&["x", "y"]]),
        ("a,b\nx,\n", &[&["x", "∅"]]),
        ("a,b\nx,", &[&["x", "∅"]]),
        ("a;b\nx,y;z\n", &[&["x,y", "z"]]),
        ("a\tb\nx\t\\N\n", &[&["x", "\\N"]]),
        ("a|b\nx|y\n", &[&["x", "y"]]),
    ] {
        assert_eq!(read(text), expected(&two, rows), "{text:?}");
    }
}

#[test]
fn a_blank_line_in_one_column_is_null() {
    let rows: [&[&str]; 4] = [&["∅"], &["1"], &["∅"], &["∅"]];
    assert_eq!(read("a\n\n1\n\n\n"), expected(&["a bigint"], &rows));
    assert_eq!(read("a\n1\n"), expected(&["a bigint"], &[&["1"]]));
    assert_eq!(read("a\n1"), expected(&["a bigint"], &[&["1"]]));
    assert_eq!(read("a\n\"\"\n"), expected(&["a text"], &[&[""]]));
}

#[test]
fn a_set_dialect_is_followed() {
    let dialect = settings(|settings| {
        settings.delimiter = Some(b':');
        settings.quote = b'\'';
    });
    assert_eq!(
        read_as(b"a:b\n'x:''y':\"z\"\n", &dialect),
        expected(&["a text", "b text"], &[&["x:'y", "\"z\""]])
    );
    for (delimiter, quote, reason) in [
        (Some(b'"'), b'"', "`delimiter` and `quote` must differ"),
        (
            Some(0xE9),
            b'"',
            "`delimiter` must be one ASCII character that ends no line, not 0xE9",
        ),
        (
            None,
            b'\n',
            "`quote` must be one ASCII character that ends no line, not 0x0A",
        ),
    ] {
        let dialect = settings(|settings| (settings.delimiter, settings.quote) = (delimiter, quote));
        assert_refused(b"a,b\n", &dialect, reason);
    }
}

#[test]
fn without_a_header_columns_are_numbered() {
    let headless = settings(|settings| settings.header = Some(false));
    let columns = ["column_1 bigint", "column_2 text"];
    assert_eq!(
        read_as(b"1,x\n\n2,y\n", &headless),
        expected(&columns, &[&["1", "x"], &["2", "y"]])
    );
    assert_eq!(
        read_as(b"\n1\n", &headless),
        expected(&["column_1 bigint"], &[&["∅"], &["1"]])
    );
    assert_refused(
        b"1,5;2,5\n",
        &headless,
        "both the comma and the semicolon could be the delimiter: set `delimiter`",
    );
}

#[test]
fn a_header_alone_is_a_table_without_rows() {
    for text in ["a,b", "a,b\n", "a,b\r\n", "a,b\n\n", "\u{FEFF}a,b\n"] {
        assert_eq!(read(text), expected(&["a text", "b text"], &[]), "{text:?}");
    }
}

#[test]
fn headers_that_name_no_table_are_refused() {
    for (text, message) in [
        ("", "is empty: not even a header"),
        ("\u{FEFF}", "is empty: not even a header"),
        (
            "\n\n",
            "line 1: column 1 has no name: give it one with `rename: {column_1: …}`, or set `header: false` if this line \
             is a row",
        ),
        (
            "a,,c\n",
            "line 1: column 2 has no name: give it one with `rename: {column_2: …}`, or set `header: false` if this line \
             is a row",
        ),
        (
            "a,b,a\n",
            "line 1: columns 1 (\"a\") and 3 (\"a\") would have the same name but for case: give one another with \
             `rename: {column_3: …}`, or set `header: false` if this line is a row",
        ),
        (
            "Id,b,ID\n",
            "line 1: columns 1 (\"Id\") and 3 (\"ID\") would have the same name but for case: give one another with \
             `rename: {ID: …}`, or set `header: false` if this line is a row",
        ),
        (
            "é,É\n",
            "line 1: columns 1 (\"é\") and 2 (\"É\") would have the same name but for case: give one another with \
             `rename: {É: …}`, or set `header: false` if this line is a row",
        ),
    ] {
        assert_refused(text.as_bytes(), &CsvSettings::default(), message);
    }
    let wide = "c,".repeat(20_000);
    assert_refused(
        wide.as_bytes(),
        &CsvSettings::default(),
        "line 1: 20001 columns, at most 16384 are read",
    );
}

#[test]
fn unsound_records_are_refused_with_their_line() {
    let ragged = "where the first line has 2 (delimiter ','): a field that holds the delimiter or a line end must be \
                  quoted; set `delimiter` if it is another";
    for (text, message) in [
        ("a,b\n1,2\n1\n", format!("line 3: 1 field {ragged}")),
        ("a,b\n\"\n\n\",2\n1,2,3\n", format!("line 5: 3 fields {ragged}")),
        ("a,b\r\n\r\n\"\r\n\",2\r\n1,2,3", format!("line 5: 3 fields {ragged}")),
        ("a,b\r1,2\r1,2,3\r", format!("line 3: 3 fields {ragged}")),
        ("a,b\n1,2\n\"\"\n", format!("line 3: 1 field {ragged}")),
        ("a,b\n1,2\n \n", format!("line 3: 1 field {ragged}")),
        (
            "a,b\n\"x\n\",\"y\nz\n",
            "line 3: the quote that opens field 2 is never closed".to_owned(),
        ),
        (
            "\"a,b\n",
            "line 1: the quote that opens field 1 is never closed".to_owned(),
        ),
        (
            "a,b\n1,\"x\ny\"z\n",
            "line 2: text after the closing quote of field 2, 1 line further down: a quote inside a field is doubled; set \
             `escape` if another character stands before it"
                .to_owned(),
        ),
        (
            "a,b\n\"x\" ,y\n",
            "line 2: text after the closing quote of field 1: a quote inside a field is doubled; set `escape` if another \
             character stands before it"
                .to_owned(),
        ),
        (
            "a,b\n1,x\ry\n",
            "line 2: a lone carriage return beside line feeds, outside quotes: quote field 2, or end every line alike"
                .to_owned(),
        ),
        (
            "a,b\r1,x\ny,2\r",
            "line 2: a lone carriage return beside line feeds, outside quotes: quote field 2, or end every line alike"
                .to_owned(),
        ),
    ] {
        assert_refused(
            text.as_bytes(),
            &settings(|settings| settings.delimiter = Some(b',')),
            &message,
        );
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let latin1 = settings(|settings| settings.encoding = Some(Encoding::Latin1));
    for (bytes, settings, message) in [
        (
            &b"a,b\n1,\"x\n\xE9\"\n"[..],
            &CsvSettings::default(),
            "line 3, byte 9: not UTF-8: set `encoding: latin1` or `windows1252` if that is what it is",
        ),
        (
            b"\xFF\xFEa\0\n\0\x00\xD8",
            &CsvSettings::default(),
            "line 2, byte 6: not UTF-16, which its byte order mark promises",
        ),
        (
            b"a\n\x80\n",
            &latin1,
            "line 2, byte 2: byte 0x80 is a control character in Latin-1: set `encoding: windows1252` if that is what \
             it is",
        ),
    ] {
        assert_refused(bytes, settings, message);
    }
    assert_eq!(read_as(b"a\nn\xE9e\n", &latin1), expected(&["a text"], &[&["née"]]));
    let utf16: Vec<u8> = "\u{FEFF}a,b\r\n1,née\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(
        read_as(&utf16, &CsvSettings::default()),
        expected(&["a bigint", "b text"], &[&["1", "née"]])
    );
}

#[test]
fn a_record_beyond_the_limit_is_refused() {
    let limits = |block_bytes| Limits {
        block_bytes,
        record_bytes_max: 20,
    };
    let outcome = |text: &str, block_bytes| {
        let input = Input::Memory {
            name: PathBuf::from("t.csv"),
            bytes: text.as_bytes().into(),
        };
        let file = CsvFile::from_input(input, &CsvSettings::default(), limits(block_bytes));
        file.map(|file| file.rows()).map_err(|error| error.to_string())
    };
    let message = "t.csv: line 2: the record that starts here is longer than 20 bytes: is a quote missing?";
    for block_bytes in [4, 16, 64] {
        assert_eq!(outcome("a,b\n\"2345678901234567\",\n", block_bytes), Ok(1));
        assert_eq!(
            outcome("a,b\n\"23456789012345678\",\n", block_bytes),
            Err(message.to_owned())
        );
        assert_eq!(
            outcome("a,b\n\"1,\n2,\n3,\n4,\n5,\n6,\n7\",\n", block_bytes),
            Err(message.to_owned())
        );
    }
}

#[test]
fn set_types_convert_exactly_or_refuse() {
    for (word, cells, values) in [
        ("text", &["1", " x "][..], &["1", " x "][..]),
        (
            "boolean",
            &["t", "FALSE", "Yes", "off", "1"],
            &["true", "false", "true", "false", "true"],
        ),
        (
            "bigint",
            &["007", "+5", " 12 ", "1e3", "2.0"],
            &["7", "5", "12", "1000", "2"],
        ),
        (
            "decimal(5,2)",
            &["1", "-.5", "00.50", "1.500", "+1"],
            &["1.00", "-0.50", "0.50", "1.50", "1.00"],
        ),
        (
            "double",
            &["1", "0.10000000000000001", "-0", "inf"],
            &["1.0", "0.1", "-0.0", "inf"],
        ),
        ("date", &["2020-01-31"], &["2020-01-31"]),
        ("timestamp", &["2020-01-31 10:00"], &["2020-01-31T10:00:00"]),
        ("timestamptz", &["2020-01-31 10:00+01"], &["2020-01-31T09:00:00Z"]),
    ] {
        let rows: Vec<_> = values.iter().map(std::slice::from_ref).collect();
        let text = format!("a\n{}\n", cells.join("\n"));
        assert_eq!(
            read_as(text.as_bytes(), &typed(&[("a", word)])),
            expected(&[&format!("a {word}")], &rows)
        );
    }
    for (word, cell) in [
        ("boolean", "maybe"),
        ("bigint", "1.5"),
        ("bigint", "9223372036854775808"),
        ("bigint", "1,000"),
        ("bigint", ""),
        ("bigint", "+-1"),
        ("decimal(5,2)", "1.505"),
        ("decimal(5,2)", "1000"),
        ("decimal(5,2)", "NaN"),
        ("double", "0.12345678901234567890"),
        ("double", "x"),
        ("date", "31.01.2020"),
        ("timestamp", "2020-01-31 10:00Z"),
        ("timestamptz", "2020-01-31 10:00"),
    ] {
        assert_refused(
            format!("a\n\n\"{cell}\"\n").as_bytes(),
            &settings(|settings| {
                settings.delimiter = Some(b';');
                settings.columns = typed(&[("a", word)]).columns;
            }),
            &format!(
                "line 3: column \"a\": {cell:?} is not exactly a {word}: `columns: {{a: text}}` carries it as it is"
            ),
        );
    }
    assert_eq!(
        read_as(b"a\n\n", &typed(&[("a", "bigint")])),
        expected(&["a bigint"], &[&["∅"]])
    );
    assert_refused(
        b"a\n1\n",
        &typed(&[("b", "text")]),
        "`columns` speaks of a column \"b\", which the file does not have; did you mean \"a\"?",
    );
    let narrow = settings(|settings| {
        settings.columns = [("a".to_owned(), ColumnType::Decimal { precision: 2, scale: 3 })].into();
    });
    assert_refused(
        b"a\n1\n",
        &narrow,
        "column \"a\": `decimal(2,3)` needs 1 ≤ precision ≤ 38 and scale ≤ precision",
    );
}

#[test]
fn long_values_are_shortened_in_errors() {
    let text = format!("a\n{}\n", "é".repeat(100));
    let message = read_as(text.as_bytes(), &typed(&[("a", "date")])).expect_err("no date");
    assert!(message.contains(&format!("\"{}…\"", "é".repeat(80))), "{message}");
}

#[test]
fn batches_keep_to_their_size() {
    let text = format!("a,b\n{}", "1,x\n".repeat(1000));
    let file = CsvFile::from_bytes("t.csv", text.into_bytes(), &CsvSettings::default()).expect("a sound file");
    let rows: Vec<_> = file
        .batches(130)
        .expect("opens")
        .map(|batch| batch.expect("a batch").num_rows())
        .collect();
    // A row takes 8 bytes, and 4 + 1 for the text.
    assert_eq!(rows, [10; 100]);
    assert_eq!(file.batches(0).expect("opens").count(), 1000);
    assert_eq!(file.batches(usize::MAX).expect("opens").count(), 1);
}

#[test]
fn what_can_not_be_read_twice_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |path: &Path| {
        CsvFile::open(path, &CsvSettings::default())
            .expect_err("no file")
            .to_string()
    };
    let path = folder.path();
    assert_eq!(
        open(path),
        format!(
            "{}: is not a regular file, and it is read twice: write the data to a file first",
            path.display()
        )
    );
    let missing = path.join("missing.csv");
    assert_eq!(open(&missing), format!("{}: can't be opened", missing.display()));
}

#[test]
fn a_file_that_changes_between_the_passes_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.csv");
    let before = "a,b\n1,x\n2,y\n";
    for after in [
        "a,b\n1,x\n2,z\n",
        "a,b\n1,x\n2,y\n3,z\n",
        "a,b\n1,x\n",
        "a,b\n1,x\n2,y\n\n",
        "a,b\n1,x\n2\n",
        "a,b\n1,x\nz,y\n",
        "a,b\n1,\"x\n",
        "a,c\n1,x\n2,y\n",
        "a,b,c\n1,x,2\n2,y,3\n",
        "a,a\n",
        "a,b\n1,x\n2,\0\n",
        "",
    ] {
        std::fs::write(&path, before).expect("a writable folder");
        let file = CsvFile::open(&path, &CsvSettings::default()).expect("a sound file");
        std::fs::write(&path, after).expect("a writable folder");
        let outcome = file
            .batches(1)
            .and_then(|batches| batches.collect::<Result<Vec<_>, _>>());
        assert!(
            matches!(outcome, Err(CsvError::Changed { .. })),
            "{after:?}: {outcome:?}"
        );
    }
    std::fs::write(&path, before).expect("a writable folder");
    let file = CsvFile::open(&path, &CsvSettings::default()).expect("a sound file");
    std::fs::remove_file(&path).expect("a writable folder");
    assert!(matches!(file.batches(1).err(), Some(CsvError::Open { .. })));
}

#[test]
fn batches_can_be_sent_to_another_thread() {
    fn is_send<T: Send + 'static>(_: &T) {}
    let file = CsvFile::from_bytes("t.csv", *b"a\n1\n", &CsvSettings::default()).expect("a sound file");
    is_send(&file);
    is_send(&file.batches(1).expect("opens"));
}

/// One column of a random table: its cells, and the type that they must get.
struct RandomColumn {
    column_type: &'static str,
    cells: Vec<Option<String>>,
}

impl RandomColumn {
    fn new(random: &mut Random, rows: u64) -> Self {
        const TEXTS: [&str; 20] = [
            "",
            "007",
            " x",
            "a,b",
            "a;b",
            "tab\there",
            "p|q",
            "\"",
            "\"\"",
            "line\nfeed",
            "carriage\rreturn",
            "both\r\n",
            "é😀",
            "null",
            "5\" pipe",
            "+1",
            "-0",
            "\u{FEFF}",
            "a\"b,\"c",
            "2020-02-30",
        ];
        let kind = random.below(7);
        let mut cell = || match kind {
            0 => random.next().cast_signed().to_string(),
            1 => format!(
                "{}{}.{:03}",
                random.pick(&["", "-"]),
                1 + random.below(1_000_000),
                random.below(1000)
            ),
            2 => format!(
                "{:?}",
                random.below(1 << 53) as f64 * 10_f64.powi(random.below(400) as i32 - 200)
            ),
            3 => format!(
                "{:04}-{:02}-{:02}",
                1 + random.below(9999),
                1 + random.below(12),
                1 + random.below(28)
            ),
            4 => format!("20{:02}-01-31T{:02}:59:00", random.below(100), random.below(24)),
            5 => random.pick(&["true", "false"]).to_owned(),
            _ => (0..random.below(4)).map(|_| random.pick(&TEXTS)).collect(),
        };
        // Cells that fix the column's type, whatever the others are.
        let (column_type, first) = match kind {
            0 => ("bigint", "0"),
            1 => ("decimal(18,3)", "1.000"),
            2 => ("double", "1e300"),
            3 => ("date", "2020-01-01"),
            4 => ("timestamp", "2020-01-01T00:00:00"),
            5 => ("boolean", "true"),
            _ => ("text", "text"),
        };
        let mut cells = vec![Some(first.to_owned())];
        cells.extend((1..rows).map(|_| Some(cell())));
        for cell in &mut cells[1..] {
            if random.one_in(5) {
                *cell = None;
            }
        }
        Self { column_type, cells }
    }
}

/// Writes a cell with quotes where it must have them, and at random elsewhere.
fn write_cell(random: &mut Random, out: &mut String, cell: Option<&str>, delimiter: char, quote_all: bool) {
    let Some(cell) = cell else { return };
    let needs_quotes = cell.is_empty() || cell.starts_with('"') || cell.contains([delimiter, '\r', '\n']);
    if needs_quotes || quote_all || random.one_in(4) {
        out.push('"');
        out.push_str(&cell.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(cell);
    }
}

#[test]
fn random_tables_come_back_cell_for_cell() {
    let mut random = Random::seeded();
    for _ in 0..300 {
        let (rows, width) = (1 + random.below(20), 1 + random.below(6));
        let columns: Vec<_> = (0..width).map(|_| RandomColumn::new(&mut random, rows)).collect();
        let delimiter = random
            .pick(&[",", ";", "\t", "|", "~"])
            .chars()
            .next()
            .expect("a delimiter");
        let line_end = random.pick(&["\n", "\r\n", "\r"]);
        let quote_all = random.one_in(4);

        let mut text = random.pick(&["", "\u{FEFF}"]).to_owned();
        let names: Vec<_> = (0..width).map(|position| format!("c{position}")).collect();
        text.push_str(&names.join(&delimiter.to_string()));
        for row in 0..rows as usize {
            text.push_str(line_end);
            for (position, column) in columns.iter().enumerate() {
                if position > 0 {
                    text.push(delimiter);
                }
                write_cell(
                    &mut random,
                    &mut text,
                    column.cells[row].as_deref(),
                    delimiter,
                    quote_all,
                );
            }
        }
        // A last row that is one NULL needs its line end: without, there is no line.
        if columns.len() == 1 || random.one_in(2) {
            text.push_str(line_end);
        }

        let dialect = settings(|settings| settings.delimiter = Some(delimiter as u8));
        let table = read_as(text.as_bytes(), &dialect).unwrap_or_else(|error| panic!("{error}\n{text:?}"));
        for (position, column) in columns.iter().enumerate() {
            assert_eq!(
                table.columns[position],
                format!("c{position} {}", column.column_type),
                "{text:?}"
            );
            for (row, cell) in column.cells.iter().enumerate() {
                let read = &table.rows[row][position];
                if column.column_type == "double" {
                    let bits = |cell: &Option<String>| cell.as_ref().map(|cell| cell.parse().map(f64::to_bits));
                    assert_eq!(bits(read), bits(cell), "{text:?}");
                } else {
                    assert_eq!(read, cell, "{text:?}");
                }
            }
        }
    }
}

#[test]
fn hostile_bytes_are_a_table_or_an_error() {
    const PIECES: [&[u8]; 24] = [
        b",",
        b",",
        b";",
        b"\"",
        b"\"",
        b"\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"\t",
        b"|",
        b"\0",
        b"\xFF",
        b"\xC3\xA9",
        b"a",
        b"1",
        b"-",
        b".",
        b"e9",
        b"2020-01-01",
        b" 10:00",
        b"NaN",
        b"true",
        b"999999999999999999999999999999999999999",
    ];
    let mut random = Random::seeded();
    let (mut tables, mut tables_with_bad_rows) = (0, 0);
    for round in 0..20_000 {
        let mut bytes = random.pick(&["", "\u{FEFF}", "a,b\n", "a\n"]).as_bytes().to_vec();
        for _ in 0..random.below(24) {
            bytes.extend_from_slice(PIECES[random.below(PIECES.len() as u64) as usize]);
        }
        match round % 16 {
            0 => bytes.splice(..0, [0xFF, 0xFE]).for_each(drop),
            1 => bytes.splice(..0, [0x1F, 0x8B, 8]).for_each(drop),
            2 => bytes.splice(..0, [0x28, 0xB5, 0x2F, 0xFD]).for_each(drop),
            _ => {}
        }
        let settings = settings(|settings| {
            settings.header = Some(round % 3 > 0);
            settings.encoding = Some([Encoding::Utf8, Encoding::Latin1, Encoding::Windows1252][round % 7 % 3]);
        });
        let sound = open(&bytes, &settings, 1 << 16);
        if let Ok(file) = &sound {
            let whole = table(file, 1 << 16);
            assert_eq!(
                table(&open(&bytes, &settings, 5).expect("sound in small blocks too"), 1),
                whole
            );
            tables += 1;
        }
        let lenient = bad_rows::lenient(|lenient| {
            *lenient = CsvSettings {
                on_bad_row: OnBadRow::Quarantine,
                delimiter: sound.as_ref().ok().and_then(|file| file.settings.delimiter),
                ..settings.clone()
            };
        });
        let Ok(file) = open(&bytes, &lenient, 1 << 16) else {
            assert!(sound.is_err(), "{:?}", bytes.escape_ascii().to_string());
            continue;
        };
        let (whole, apart) = (table(&file, 1 << 16), bad_rows::apart(&file, 1 << 16));
        let small = open(&bytes, &lenient, 5).expect("sound in small blocks too");
        assert_eq!((table(&small, 1), bad_rows::apart(&small, 1)), (whole, apart));
        assert_eq!(
            file.bad_rows() == 0,
            sound.is_ok(),
            "{:?}",
            bytes.escape_ascii().to_string()
        );
        tables_with_bad_rows += u64::from(file.bad_rows() > 0);
    }
    assert!(tables > 100, "only {tables} of the files were sound");
    assert!(
        tables_with_bad_rows > 100,
        "only {tables_with_bad_rows} of the files had bad rows"
    );
}
