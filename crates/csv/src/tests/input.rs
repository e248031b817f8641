//! What the bytes of a file may be: encodings, archives, sizes.

use std::error::Error as _;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("memory");
    gzip.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

/// The error and its cause, as the command line shows them.
fn refusal(bytes: &[u8]) -> String {
    let error = open(bytes, &CsvSettings::default(), 64).expect_err("no CSV file");
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[test]
fn every_encoding_is_read() {
    let utf16 =
        |unit: fn(u16) -> [u8; 2]| -> Vec<u8> { "\u{FEFF}a,b\n1,née\n".encode_utf16().flat_map(unit).collect() };
    for (encoding, bytes, word) in [
        (Encoding::Utf8, "a,b\n1,née €😀\n".as_bytes().to_vec(), "née €😀"),
        (Encoding::Utf8, "\u{FEFF}a,b\n1,née\n".as_bytes().to_vec(), "née"),
        (Encoding::Utf8, utf16(u16::to_le_bytes), "née"),
        (Encoding::Utf8, utf16(u16::to_be_bytes), "née"),
        (Encoding::Latin1, b"a,b\n1,n\xE9e\n".to_vec(), "née"),
        (Encoding::Windows1252, b"a,b\n1,n\xE9e \x80\n".to_vec(), "née €"),
    ] {
        let settings = settings(|settings| settings.encoding = Some(encoding));
        let table = expected(&["a bigint", "b text"], &[&["1", word]]);
        assert_eq!(read_as(&bytes, &settings), table, "{encoding:?}");
        assert_eq!(read_as(&gzip(&bytes), &settings), table, "{encoding:?} in gzip");
        assert_eq!(read_as(&zstd(&bytes), &settings), table, "{encoding:?} in zstd");
    }
}

#[test]
fn archives_are_known_by_their_first_bytes() {
    let (first, second) = (b"a,b\n1,x\n", b"2,y\n");
    let columns = ["a bigint", "b text"];
    let one = expected(&columns, &[&["1", "x"]]);
    let both = expected(&columns, &[&["1", "x"], &["2", "y"]]);
    let plain = CsvSettings::default();
    for pack in [gzip, zstd] {
        assert_eq!(read_as(&pack(first), &plain), one);
        assert_eq!(read_as(&[pack(first), pack(second)].concat(), &plain), both);
        assert_eq!(refusal(&pack(b"")), "t.csv: is empty: not even a header");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.csv");
    std::fs::write(&path, gzip(first)).expect("a writable folder");
    let file = CsvFile::open(&path, &plain).expect("an archive");
    assert_eq!(Ok(table(&file, 1)), one);
}

#[test]
fn archives_that_end_early_are_refused() {
    let text = "a,b\n".to_owned() + &(0..500).map(|i| format!("{i},word {}\n", i * i)).collect::<String>();
    for (format, packed) in [("gzip", gzip(text.as_bytes())), ("zstd", zstd(text.as_bytes()))] {
        let message = format!("t.csv: can't be read: the {format} archive ends early: was it copied whole?");
        for length in 4..packed.len() {
            assert_eq!(refusal(&packed[..length]), message, "{length} bytes");
        }
    }
}

#[test]
fn damaged_archives_are_refused() {
    let text = "a,b\n".to_owned() + &(0..500).map(|i| format!("{i},word {}\n", i * i)).collect::<String>();
    let sound = read(&text);
    let (mut seen, mut damaged) = (0, gzip(text.as_bytes()));
    for place in 0..damaged.len() {
        damaged[place] ^= 0x55;
        // A gzip archive has a checksum: what is read at all is what was packed. Its header holds the time and such.
        match open(&damaged, &CsvSettings::default(), 1 << 16) {
            Ok(file) => assert_eq!(Ok(table(&file, 1 << 20)), sound, "byte {place}"),
            Err(_) => seen += 1,
        }
        damaged[place] ^= 0x55;
    }
    assert!(seen > damaged.len() - 10, "{seen} of {}", damaged.len());

    // A zstd archive has one only if its writer wanted it.
    let mut damaged = zstd(text.as_bytes());
    for place in 0..damaged.len() {
        damaged[place] ^= 0x55;
        if let Ok(file) = open(&damaged, &CsvSettings::default(), 1 << 16) {
            table(&file, 1 << 20);
        }
        damaged[place] ^= 0x55;
    }

    let mut checked = zstd::Encoder::new(Vec::new(), 1).expect("memory");
    checked.include_checksum(true).expect("a setting");
    checked.write_all(text.as_bytes()).expect("memory");
    let mut checked = checked.finish().expect("memory");
    *checked.last_mut().expect("a checksum") ^= 1;
    let message = refusal(&checked);
    assert!(
        message.starts_with("t.csv: can't be read: the zstd archive is damaged: "),
        "{message}"
    );
    let message = refusal(&[gzip(text.as_bytes()), b"junk, and more than a header has".to_vec()].concat());
    assert!(
        message.starts_with("t.csv: can't be read: the gzip archive is damaged: "),
        "{message}"
    );
}

#[test]
fn an_archive_can_not_fill_the_memory() {
    // 64 MiB without a line end, in some kilobytes.
    let limits = Limits {
        record_bytes_max: 1 << 16,
        ..Limits::default()
    };
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).expect("memory");
    bomb.write_all(b"a\n").expect("memory");
    for _ in 0..64 {
        bomb.write_all(&vec![b'x'; 1 << 20]).expect("memory");
    }
    let input = Input::Memory {
        name: PathBuf::from("t.csv"),
        bytes: bomb.finish().expect("memory").into(),
    };
    let refused = CsvFile::from_input(input, &CsvSettings::default(), limits).expect_err("a record too long");
    assert!(matches!(refused, CsvError::RecordTooLong { line: 2, .. }), "{refused}");

    // A frame that asks for a window of 2 GiB (RFC 8878, 3.1.1.1.2), then a raw block.
    let frame = [b"\x28\xB5\x2F\xFD\x00\xA8".as_slice(), &[4 << 3 | 1, 0, 0], b"a\n1\n"].concat();
    let message = refusal(&frame);
    assert!(message.contains("too much memory"), "{message}");
    let frame = [b"\x28\xB5\x2F\xFD\x00\x58".as_slice(), &[4 << 3 | 1, 0, 0], b"a\n1\n"].concat();
    assert_eq!(
        read_as(&frame, &CsvSettings::default()),
        expected(&["a bigint"], &[&["1"]])
    );
}

#[test]
fn a_record_may_have_64_mib() {
    let limit = 64 << 20;
    let file = |length: usize| {
        let mut bytes = b"a\n".to_vec();
        bytes.resize(2 + length - 1, b'x');
        bytes.extend_from_slice(b"\n1\n");
        CsvFile::from_bytes("t.csv", bytes, &CsvSettings::default())
    };
    assert_eq!(file(limit).expect("within the limit").rows(), 2);
    let refused = file(limit + 1).expect_err("beyond the limit").to_string();
    assert_eq!(
        refused,
        "t.csv: line 2: the record that starts here is longer than 67108864 bytes: is a quote missing?"
    );
}

#[test]
fn the_last_of_many_rows_has_its_say_in_the_type() {
    for (last, column_type, first) in [
        ("1.5", "decimal(18,1)", "1.0"),
        ("9223372036854775808", "decimal(38,0)", "1"),
        ("1e300", "double", "1.0"),
        ("007", "text", "1"),
        ("", "bigint", "1"),
        ("x", "text", "1"),
    ] {
        let text = format!("a,b\n{}{last},y\n", "1,x\n".repeat(20_000));
        let file = CsvFile::from_bytes("t.csv", text.into_bytes(), &CsvSettings::default()).expect("a sound file");
        let table = table(&file, 1 << 20);
        assert_eq!(table.columns, [format!("a {column_type}"), "b text".to_owned()]);
        assert_eq!(table.rows[0][0].as_deref(), Some(first));
        assert_eq!(table.rows.len(), 20_001);
    }
}
