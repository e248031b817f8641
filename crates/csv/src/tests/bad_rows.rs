//! Bad rows: left out and kept apart where that is certain, refused where it is not.

use std::io;

use super::*;

/// Settings under which bad rows are set aside, with more of them changed.
pub(super) fn lenient(change: impl FnOnce(&mut CsvSettings)) -> CsvSettings {
    let mut settings = settings(|settings| {
        settings.delimiter = Some(b',');
        settings.on_bad_row = OnBadRow::Quarantine;
    });
    change(&mut settings);
    settings
}

fn lenient_typed(types: &[(&str, &str)]) -> CsvSettings {
    lenient(|settings| settings.columns = typed(types).columns)
}

/// The file of the bad rows.
pub(super) fn apart(file: &CsvFile, batch_bytes_max: usize) -> String {
    let mut out = Vec::new();
    for batch in file
        .batches(batch_bytes_max)
        .expect("opens again")
        .write_bad_rows(&mut out)
    {
        batch.expect("the file has not changed");
    }
    String::from_utf8(out).expect("UTF-8")
}

/// Reads a file, which must give the same table and the same bad rows whatever the blocks and the batches.
fn read_apart(bytes: &[u8], settings: &CsvSettings) -> Result<(Table, String), String> {
    let table = read_as(bytes, settings)?;
    let apart_in = |block_bytes, batch_bytes_max| {
        let file = open(bytes, settings, block_bytes).expect("opened before");
        let apart = apart(&file, batch_bytes_max);
        assert_eq!(file.bad_rows() == 0, apart.is_empty());
        apart
    };
    let whole = apart_in(1 << 16, 1 << 20);
    for (block_bytes, batch_bytes_max) in [(4, 0), (7, 30)] {
        assert_eq!(apart_in(block_bytes, batch_bytes_max), whole, "blocks of {block_bytes}");
    }
    Ok((table, whole))
}

#[test]
fn bad_rows_are_left_out_and_kept_with_their_reason() {
    let two = ["a bigint", "b text"];
    let types = lenient_typed(&[("a", "bigint"), ("b", "date")]);
    let numbered = lenient(|settings| {
        settings.header = Some(false);
        settings.columns = typed(&[("column_1", "bigint")]).columns;
    });
    let plain = lenient(|_| {});
    for (text, settings, columns, rows, bad) in [
        (
            "a,b\n1,x\n3\n4,y,z\n\n7,\n",
            &plain,
            &two,
            &[&["1", "x"][..], &["7", "∅"]][..],
            "3,\"1 field where the first line has 2 (delimiter ',')\",\"3\"\n\
             4,\"3 fields where the first line has 2 (delimiter ',')\",\"4,y,z\"\n",
        ),
        (
            "a,b\r\n1,x\r\n\"2\",\"y\",\"z\"\"\"\r\n3,z",
            &plain,
            &two,
            &[&["1", "x"], &["3", "z"]],
            "3,\"3 fields where the first line has 2 (delimiter ',')\",\"\"\"2\"\",\"\"y\"\",\"\"z\"\"\"\"\"\"\"\n",
        ),
        (
            "a,b\n1,x\n2,\"Acme\" Ltd\n3,\"\"y\"\"\n4,\"a \"b\" c\"\n5,z",
            &plain,
            &two,
            &[&["1", "x"], &["5", "z"]],
            "3,\"text after the closing quote of field 2\",\"2,\"\"Acme\"\" Ltd\"\n\
             4,\"text after the closing quote of field 2\",\"3,\"\"\"\"y\"\"\"\"\"\n\
             5,\"text after the closing quote of field 2\",\"4,\"\"a \"\"b\"\" c\"\"\"\n",
        ),
        (
            "a,b\n1,x\n2,y\rz\n3,z\n",
            &plain,
            &two,
            &[&["1", "x"], &["3", "z"]],
            "3,\"a lone carriage return beside line feeds, outside quotes\",\"2,y\rz\"\n",
        ),
        (
            "a,b\r1,x\r2\r3,\"y\nz\"\r4,u",
            &plain,
            &two,
            &[&["1", "x"], &["3", "y\nz"], &["4", "u"]],
            "3,\"1 field where the first line has 2 (delimiter ',')\",\"2\"\n",
        ),
        (
            "a,b\n1,2020-01-01\n\"x\ny\",\"2020-01-01\"\n3,soon\nz,soon\n,\n",
            &types,
            &["a bigint", "b date"],
            &[&["1", "2020-01-01"], &["∅", "∅"]],
            "3,\"column \"\"a\"\": \"\"x\\ny\"\" is not exactly a bigint\",\"\"\"x\ny\"\",\"\"2020-01-01\"\"\"\n\
             5,\"column \"\"b\"\": \"\"soon\"\" is not exactly a date\",\"3,soon\"\n\
             6,\"column \"\"a\"\": \"\"z\"\" is not exactly a bigint\",\"z,soon\"\n",
        ),
        (
            "x,y\n1,z\n",
            &numbered,
            &["column_1 bigint", "column_2 text"],
            &[&["1", "z"]],
            "1,\"column \"\"column_1\"\": \"\"x\"\" is not exactly a bigint\",\"x,y\"\n",
        ),
    ] {
        let bad = format!("line,reason,row\n{bad}");
        let table = expected(columns, rows).expect("a table");
        assert_eq!(read_apart(text.as_bytes(), settings), Ok((table, bad)), "{text:?}");
    }
}

#[test]
fn without_a_bad_row_nothing_is_written() {
    for text in ["a,b\n", "a,b\n1,x\n\n2,y", "a\n\n\n"] {
        let (table, bad) = read_apart(text.as_bytes(), &lenient(|_| {})).expect("a sound file");
        assert_eq!((Ok(table), bad.as_str()), (read(text), ""));
    }
}

#[test]
fn every_row_may_be_bad() {
    let (table, bad) = read_apart(b"a,b\n1\n2,3,4\n", &lenient(|_| {})).expect("a table");
    assert_eq!(Ok(table), expected(&["a text", "b text"], &[]));
    assert_eq!(bad.lines().count(), 3);
}

#[test]
fn bad_rows_have_no_say_in_the_types() {
    assert_eq!(
        read_as(b"a,b\n1,2\nx\ny,z,w\n3,4\n", &lenient(|_| {})),
        expected(&["a bigint", "b bigint"], &[&["1", "2"], &["3", "4"]])
    );
    assert_eq!(
        read_as(b"a,b,c\n1,2,3\nx,y,z\n", &lenient_typed(&[("b", "bigint")])),
        expected(&["a bigint", "b bigint", "c bigint"], &[&["1", "2", "3"]])
    );
}

#[test]
fn what_may_not_be_one_row_is_refused() {
    let ragged = "fields where the first line has 2 (delimiter ',')";
    let unsure = "the row can't be quarantined, since where it ends is not certain";
    let lines = "(it takes up several lines)";
    let odd = "(it has an odd number of quotes)";
    let quoting = "a field that holds the delimiter or a line end must be quoted; set `delimiter` if it is another";
    let doubling = "a quote inside a field is doubled; set `escape` if another character stands before it";
    let after = "text after the closing quote of field 2";
    for (text, message) in [
        // A quote too many, which swallows rows until the next one.
        (
            "a,b\n1,\"x\n2,y\n3,z\",3\n4,u\n",
            format!("line 2: 3 {ragged}; {unsure} {lines}: {quoting}"),
        ),
        (
            "a,b\n1,\"x\n2,\"y\"\n",
            format!("line 2: {after}, 1 line further down; {unsure} {lines}: {doubling}"),
        ),
        // An inch, or a quotation that goes on in the next line.
        (
            "a,b\n1,\"5\" pipe\"\n2,y\n",
            format!("line 2: {after}; {unsure} {odd}: {doubling}"),
        ),
        (
            "a,b\n1,x\n2,\"y\"z\"",
            format!("line 3: {after}; {unsure} {odd}: {doubling}"),
        ),
        (
            "a,b\n1,2\n3,\"x\n",
            "line 3: the quote that opens field 2 is never closed".to_owned(),
        ),
        // Without a header there are no columns.
        (
            "\"a\"b,c\n1,2\n",
            format!("line 1: text after the closing quote of field 1: {doubling}"),
        ),
        // The first line was taken for what it is not.
        (
            "a,b\r1,2\n3,4\n",
            "line 2: a lone carriage return beside line feeds, outside quotes: quote field 2, or end every line alike"
                .to_owned(),
        ),
    ] {
        assert_refused(text.as_bytes(), &lenient(|_| {}), &message);
    }
    assert_refused(
        b"a,b\n1,2\n3,\xFF\n",
        &lenient(|_| {}),
        "line 3, byte 10: not UTF-8: set `encoding: latin1` or `windows1252` if that is what it is",
    );
}

#[test]
fn a_bad_row_keeps_to_the_limit() {
    let outcome = |text: &str, block_bytes| {
        let input = Input::Memory {
            name: PathBuf::from("t.csv"),
            bytes: text.as_bytes().into(),
        };
        let limits = Limits {
            block_bytes,
            record_bytes_max: 20,
        };
        let file = CsvFile::from_input(input, &lenient(|_| {}), limits);
        file.map(|file| file.bad_rows()).map_err(|error| error.to_string())
    };
    let message = "t.csv: line 2: the record that starts here is longer than 20 bytes: is a quote missing?";
    for block_bytes in [4, 16, 64] {
        assert_eq!(outcome("a,b\n\"1\"x,4567890123456\nx,y", block_bytes), Ok(1));
        assert_eq!(
            outcome("a,b\n\"1\"x,456789012345678\n", block_bytes),
            Err(message.to_owned())
        );
        assert_eq!(
            outcome("a,b\n\"1\"x,456789012345678901234567890", block_bytes),
            Err(message.to_owned())
        );
    }
}

#[test]
fn the_delimiter_is_not_guessed_from_rows_that_may_be_bad() {
    let guessing = lenient(|settings| settings.delimiter = None);
    assert_refused(
        b"id;name, first\n1;x, y\n2;z, w;bad\n",
        &guessing,
        "both the comma and the semicolon could be the delimiter: set `delimiter`",
    );
    assert_eq!(
        read_as(b"a;b\n1;2;3\n1,5;2\n", &guessing),
        expected(&["a text", "b bigint"], &[&["1,5", "2"]])
    );
}

#[test]
fn rows_are_kept_in_utf8() {
    let utf16: Vec<u8> = "\u{FEFF}a,b\n1,née,x\n2,é\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let (table, bad) = read_apart(&utf16, &lenient(|_| {})).expect("a table");
    assert_eq!(Ok(table), expected(&["a bigint", "b text"], &[&["2", "é"]]));
    assert!(bad.ends_with("\"1,née,x\"\n"), "{bad}");
}

#[test]
fn the_types_of_other_days_are_kept() {
    let before = open(b"a,b\n1.50,x\n", &CsvSettings::default(), 64).expect("a sound file");
    let mut file = open(b"a,b\n2,y\nx\n", &lenient(|_| {}), 64).expect("one good row");
    file.keep_types(&before.schema());
    assert_eq!(file.schema(), before.schema());
    assert_eq!(table(&file, 1).rows.len(), 1);
    assert_eq!(apart(&file, 1).lines().count(), 2);
}

#[test]
fn both_passes_have_to_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.csv");
    let before = "a,b\n1,x\n2\n3,y\n";
    for after in [
        "a,b\n1,x\n2,\n3,y\n",
        "a,b\n1,x\n2\n3\n",
        "a,b\n1,x\n4\n3,y\n",
        "a,b\n1,x\n3,y\n",
        "a,b\n1,x\n2\n\"3\n,y\n",
    ] {
        std::fs::write(&path, before).expect("a writable folder");
        let file = CsvFile::open(&path, &lenient(|_| {})).expect("a file with a bad row");
        std::fs::write(&path, after).expect("a writable folder");
        let outcome = file
            .batches(1)
            .and_then(|batches| batches.collect::<Result<Vec<_>, _>>());
        assert!(
            matches!(outcome, Err(CsvError::Changed { .. })),
            "{after:?}: {outcome:?}"
        );
    }
}

#[test]
fn bad_rows_that_can_not_be_written_are_an_error() {
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let file = open(b"a,b\n1\n", &lenient(|_| {}), 64).expect("a file with a bad row");
    let mut full = Full;
    let mut batches = file.batches(1).expect("opens").write_bad_rows(&mut full);
    assert!(matches!(batches.next(), Some(Err(CsvError::BadRows { .. }))));
    assert!(batches.next().is_none());
}

#[test]
fn bad_rows_anywhere_leave_the_others_as_they_are() {
    const BAD: [&str; 6] = ["x", "1,2,3", "1,\"a\"b,2", "\"\"\"q\"\" \"r,s", "5,y\rz", "many,x"];
    let mut random = Random::seeded();
    for _ in 0..200 {
        let line_end = random.pick(&["\n", "\r\n"]);
        let (mut text, mut good, mut bad) = (format!("a,b{line_end}"), Vec::new(), Vec::new());
        for line in 2..2 + random.below(40) {
            let row = if random.one_in(3) {
                let row = random.pick(&BAD).to_owned();
                bad.push((line, row.clone()));
                row
            } else {
                good.push(vec![Some(line.to_string()), Some(format!("w{line}"))]);
                format!("{line},w{line}")
            };
            text.push_str(&row);
            text.push_str(line_end);
        }
        let settings = lenient_typed(&[("a", "bigint")]);
        let (table, apart) = read_apart(text.as_bytes(), &settings).expect("bad rows at the most");
        assert_eq!(table.rows, good, "{text:?}");
        let kept = if apart.is_empty() {
            Vec::new()
        } else {
            read_as(apart.as_bytes(), &settings_of_kept()).expect("sound").rows
        };
        let kept: Vec<_> = kept
            .into_iter()
            .map(|row| (row[0].clone().and_then(|line| line.parse().ok()), row[2].clone()))
            .collect();
        let bad: Vec<_> = bad.into_iter().map(|(line, row)| (Some(line), Some(row))).collect();
        assert_eq!(kept, bad, "{text:?}");
    }
}

/// The bad rows' file is a CSV file like any other.
fn settings_of_kept() -> CsvSettings {
    settings(|settings| {
        settings.delimiter = Some(b',');
        settings.columns = typed(&[("row", "text")]).columns;
    })
}
