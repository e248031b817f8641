//! What stands around and between the rows: escapes, comments, lines to leave out, a header that may be a row.

use super::*;

#[test]
fn an_escape_makes_quotes_text() {
    let escape = settings(|settings| settings.escape = Some(b'\\'));
    let two = ["a text", "b text"];
    for (text, row) in [
        (r#""x\"y",z"#, ["x\"y", "z"]),
        (r#""\"","\\""#, ["\"", "\\"]),
        (r#""x""y","\n""#, ["x\"y", "\\n"]),
        ("\"\\\"\n\",\"\\\\\\\"\"", ["\"\n", "\\\""]),
        (r#"\"x\",\"#, ["\\\"x\\\"", "\\"]),
        (r#""\é","é\"é""#, ["\\é", "é\"é"]),
    ] {
        for end in ["", "\n", "\r\n"] {
            let file = format!("a,b{end}\n{text}{end}");
            assert_eq!(
                read_as(file.trim_start_matches('\n').as_bytes(), &escape),
                expected(&two, &[&row]),
                "{file:?}"
            );
        }
    }
    assert_refused(
        b"a,b\n\"x\\\",y\n",
        &escape,
        "line 2: the quote that opens field 1 is never closed",
    );
    // An escape makes it uncertain which quotes pair.
    let kept_apart = settings(|settings| {
        settings.escape = Some(b'\\');
        settings.on_bad_row = OnBadRow::Quarantine;
    });
    let refused = read_as(b"a,b\n\"x\\\"\"y\",z\n", &kept_apart).expect_err("text after a quote");
    assert!(refused.contains("where it ends is not certain"), "{refused}");
}

#[test]
fn comments_are_left_out_where_a_line_begins() {
    let comment = settings(|settings| settings.comment = Some(b'#'));
    let columns = ["a bigint", "b text"];
    let rows: [&[&str]; 2] = [&["1", "#x"], &["2", "\n#y"]];
    for end in ["\n", "\r\n", "\r"] {
        let file = "# a;b\n#\na,b\n#,,,\n1,#x\n# \"\n2,\"\n#y\"\n#z".replace('\n', end);
        let rows = rows.map(|row| row.iter().map(|cell| cell.replace('\n', end)).collect::<Vec<_>>());
        let rows: Vec<Vec<&str>> = rows
            .iter()
            .map(|row| row.iter().map(String::as_str).collect())
            .collect();
        let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
        assert_eq!(
            read_as(file.as_bytes(), &comment),
            expected(&columns, &rows),
            "{file:?}"
        );
    }
    assert_refused(
        b"#\na,b\n#\n1,2,3\n",
        &comment,
        "line 4: 3 fields where the first line has 2 (delimiter ','): set `skip_rows: 3` if this is the header, and \
         `delimiter` if it is another; a field that holds the delimiter or a line end must be quoted",
    );
    assert_refused(
        b"a\n",
        &settings(|settings| settings.comment = Some(b'"')),
        "`quote` and `comment` must differ",
    );
}

#[test]
fn lines_at_both_ends_are_left_out() {
    let around = |skip_rows, skip_footer| {
        settings(|settings| (settings.skip_rows, settings.skip_footer) = (skip_rows, skip_footer))
    };
    let columns = ["a bigint", "b date"];
    let rows: [&[&str]; 2] = [&["1", "2024-01-31"], &["2", "2024-02-29"]];
    for end in ["\n", "\r\n", "\r"] {
        let file = "\"Report; 1,2\n\na;b\n1;2024-01-31\n2;2024-02-29\n\n\"2 rows".replace('\n', end);
        assert_eq!(
            read_as(file.as_bytes(), &around(2, 2)),
            expected(&columns, &rows),
            "{file:?}"
        );
        let file = file + end;
        assert_eq!(
            read_as(file.as_bytes(), &around(2, 2)),
            expected(&columns, &rows),
            "{file:?}"
        );
    }
    // The header alone, and not even that.
    assert_eq!(read_as(b"x\na\ny\n", &around(1, 1)), expected(&["a text"], &[]));
    for text in ["x\ny\n", "x"] {
        assert_refused(
            text.as_bytes(),
            &around(1, 1),
            "has no line left after `skip_rows: 1` and `skip_footer: 1`",
        );
    }
    assert_refused(
        b"a\n1\n\"2\n3\"\n",
        &around(0, 1),
        "line 3: the record that starts here goes on into the lines that `skip_footer` leaves out: is a quote missing?",
    );
    // Lines are those of the file.
    let bad = read_as(b"x\na,b\n1,2,3\ny\n", &around(1, 1)).expect_err("a ragged row");
    assert!(bad.starts_with("t.csv: line 3: 3 fields"), "{bad}");
    let file = open(b"x\na\n1\ny", &around(1, 1), 4).expect("a sound file");
    let other = open(b"x\na\n1\nz", &around(1, 1), 4).expect("a sound file");
    assert_ne!(
        file.digest, other.digest,
        "the footer may not change between the passes"
    );
}

#[test]
fn the_line_of_the_quote_that_opens_is_named() {
    assert_refused(
        b"a,b\n1,2\n3,\"x\n4,5\n6,y\"z\n",
        &CsvSettings::default(),
        "line 3: text after the closing quote of field 2, 2 lines further down: a quote inside a field is doubled; set \
         `escape` if another character stands before it",
    );
    assert_refused(
        b"a,b\n1,2\n3,\"x\n4,5\n",
        &CsvSettings::default(),
        "line 3: the quote that opens field 2 is never closed",
    );
}

#[test]
fn a_first_line_that_may_be_a_row_is_no_header_unless_that_is_said() {
    let told = |header| settings(|settings| settings.header = header);
    for (text, line, position, cell, column_type) in [
        ("7,x\n8,y\n", 1, 1, "7", "bigint"),
        ("x,1.5\ny,2.25\n,\n", 1, 2, "1.5", "decimal(18,2)"),
        ("\"2024-01-31\",x\n2024-02-29,y\n", 1, 1, "2024-01-31", "date"),
        (
            "a,2024-01-31 10:00\nb,2024-02-29 10:00:01\n",
            1,
            2,
            "2024-01-31 10:00",
            "timestamp",
        ),
    ] {
        assert_refused(
            text.as_bytes(),
            &told(None),
            &format!(
                "line {line} looks like a row, not like names: its field {position} is {cell:?}, and the column below it \
                 is {column_type}: write `header: false` if it is a row, or `header: true` if these are names"
            ),
        );
        let [names, rows] = [Some(true), Some(false)].map(|header| read_as(text.as_bytes(), &told(header)));
        assert_eq!(
            rows.map(|table| table.rows.len()),
            names.map(|table| table.rows.len() + 1)
        );
    }
    // Years above texts, numbers in text, and no row at all.
    for text in [
        "2019,2020\nn/a,x\n",
        "7\n",
        "7,b\n,x\n",
        "nan,b\n1,x\n",
        "true,b\nfalse,x\n",
    ] {
        assert!(read(text).is_ok(), "{text:?}");
    }
}

#[test]
fn a_line_that_tells_the_delimiter_is_followed() {
    let columns = ["a bigint", "b text"];
    for first in ["sep=;\n", "SEP=;\r\n", "\"sep=;\"\n"] {
        assert_eq!(
            read(&format!("{first}a;b\n1;x,y\n")),
            expected(&columns, &[&["1", "x,y"]])
        );
    }
    assert_eq!(read("sep=\t\na\tb\n1\tx;y\n"), expected(&columns, &[&["1", "x;y"]]));
    assert_refused(
        b"sep=;\na,b\n",
        &settings(|settings| settings.delimiter = Some(b',')),
        "its first line says `sep=;`, and `delimiter` is another",
    );
    assert_refused(b"sep=;\n", &CsvSettings::default(), "is empty: not even a header");
}

#[test]
fn lines_before_the_header_are_told() {
    let wider = |line: u64, found: usize, expected: usize| {
        format!(
            "line {line}: {found} fields where the first line has {expected} (delimiter ','): set `skip_rows: {}` if this is \
             the header, and `delimiter` if it is another; a field that holds the delimiter or a line end must be quoted",
            line - 1
        )
    };
    for (text, message) in [
        ("Report of 2024\n\na,b,c\n1,2,3\n", wider(3, 3, 1)),
        ("Report,2024\na,b,c\n1,2,3\n", wider(2, 3, 2)),
        (
            "Report\na;b\n1;2\n",
            "line 1 has one field, and the lines after it have 2 each by the semicolon: set `skip_rows: 1` if the header \
             comes after it, or `delimiter: \",\"` if the file has one column"
                .to_owned(),
        ),
    ] {
        assert_refused(text.as_bytes(), &CsvSettings::default(), &message);
    }
    // A row after others is no header.
    let late = read("a,b\n1,2\n1,2,3\n").expect_err("a ragged row");
    assert!(!late.contains("skip_rows"), "{late}");
    let one_column = settings(|settings| settings.delimiter = Some(b','));
    assert_eq!(
        read_as(b"tags\na;b\nc;d\n", &one_column),
        expected(&["tags text"], &[&["a;b"], &["c;d"]])
    );
}

#[test]
fn files_of_other_kinds_are_known() {
    for (bytes, message) in [
        (
            &b"PK\x03\x04\x14\0\x06\0\x08\0[Content_Types].xml"[..],
            "is a workbook, not CSV: save the sheet as CSV, and name that file",
        ),
        (
            b"PK\x03\x04 a.csv",
            "is a zip archive, not CSV: unpack it, or pack it with gzip or zstd, which are read as they are",
        ),
        (
            b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1...",
            "is a workbook, not CSV: save the sheet as CSV, and name that file",
        ),
        (b"PAR1....", "is a Parquet file, not CSV: write it as CSV"),
        (
            b"<!doctype HTML><p>404",
            "is a web page, not CSV: see what it says: it may be an error of where the file comes from",
        ),
    ] {
        assert_refused(bytes, &CsvSettings::default(), message);
    }
    assert!(read("BZ,PK\n").is_ok());
}

#[test]
fn names_are_made_ones_that_delta_holds() {
    assert_eq!(
        read(" id ,Price (EUR),\"a\n=b\",{x},naïve;\u{a0}y\n1,2,3,4,5\n"),
        expected(
            &[
                "id bigint",
                "Price_EUR bigint",
                "a_b bigint",
                "x bigint",
                "naïve_y bigint"
            ],
            &[&["1", "2", "3", "4", "5"]]
        )
    );
    // Settings speak of the header's own names, and have the last word.
    let named = settings(|settings| {
        settings.rename = [(" id ".to_owned(), "key".to_owned())].into();
        settings.columns = [("a b".to_owned(), ColumnType::Text)].into();
    });
    assert_eq!(
        read_as(b" id ,a b\n1,2\n", &named),
        expected(&["key bigint", "a_b text"], &[&["1", "2"]])
    );
    let same = read("a b,a_b\n1,2\n").expect_err("two of a name");
    assert!(
        same.contains("columns 1 (\"a b\") and 2 (\"a_b\") would have the same name"),
        "{same}"
    );
    let none = read("a, \n1,2\n").expect_err("no name");
    assert!(none.contains("column 2 has no name"), "{none}");
}

#[test]
fn a_nul_character_is_text() {
    let nul = read("a,b\nx\0y,1\n");
    assert_eq!(nul, expected(&["a text", "b bigint"], &[&["x\0y", "1"]]));
    let utf16: Vec<u8> = "a,b\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let message =
        "line 1, byte 0: NUL characters all over: UTF-16 without a byte order mark, or no text: save the file as UTF-8";
    assert_refused(&utf16, &CsvSettings::default(), message);
}

#[test]
fn what_was_found_is_told() {
    let found = |bytes: &[u8], settings: &CsvSettings| {
        open(bytes, settings, 1 << 16)
            .expect("a sound file")
            .found()
            .to_string()
    };
    let gzip = |bytes: &[u8]| {
        let mut archive = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        archive.write_all(bytes).expect("memory can be written");
        archive.finish().expect("memory can be written")
    };
    let utf16: Vec<u8> = "\u{FEFF}a\tb\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let all_set = settings(|settings| {
        settings.delimiter = Some(b',');
        settings.header = Some(true);
        settings.encoding = Some(Encoding::Utf8);
    });
    for (bytes, settings, told) in [
        (
            b"a;b\n1;x\n".to_vec(),
            &CsvSettings::default(),
            "delimiter ';', names in its first line, UTF-8",
        ),
        (
            b"a\n1\n".to_vec(),
            &CsvSettings::default(),
            "names in its first line, UTF-8",
        ),
        (
            utf16,
            &CsvSettings::default(),
            "delimiter '\\t', names in its first line, UTF-16",
        ),
        (gzip(b"a,b\n"), &all_set, "gzip"),
        (b"a,b\n".to_vec(), &all_set, ""),
        (b"a b,c\n".to_vec(), &all_set, "column \"a b\" called a_b"),
    ] {
        assert_eq!(found(&bytes, settings), told);
    }
}
