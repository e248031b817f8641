//! CSV files and the settings they are read with: no panic, no hang, bounded memory, and both passes see the same rows.

#![no_main]

use std::io::Write as _;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use lake_csv::{ColumnType, CsvFile, CsvSettings, Encoding, OnBadRow};
use lake_fuzz::{Bounded, Choices};
use libfuzzer_sys::fuzz_target;

/// A record of 64 MiB in a vector that grows by doubling, and a copy as it grows.
#[global_allocator]
static ALLOCATOR: Bounded = Bounded::new(400 << 20);

const NAMES: [&str; 8] = ["a", "b", "id", "a b", "", "column_1", "column_2", "ä"];
const TYPES: [ColumnType; 9] = [
    ColumnType::Text,
    ColumnType::Boolean,
    ColumnType::Bigint,
    ColumnType::Decimal {
        precision: 10,
        scale: 2,
    },
    ColumnType::Decimal {
        precision: 38,
        scale: 38,
    },
    ColumnType::Double,
    ColumnType::Date,
    ColumnType::Timestamp,
    ColumnType::Timestamptz,
];

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let settings = settings(&mut choices);
    let batch_bytes = choices.one_of(&[0, 1, 64, 4096, usize::MAX]);
    let earlier: Vec<Field> = (0..choices.byte() % 3)
        .map(|_| Field::new(choices.one_of(&NAMES), choices.one_of(&TYPES).data_type(), true))
        .collect();
    let Some(bytes) = packed(choices) else { return };

    let mut file = match CsvFile::from_bytes("fuzz.csv", bytes, &settings) {
        Ok(file) => file,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    file.keep_types(&Schema::new(earlier));
    // A batch a row, for the million rows of an archive of a kilobyte, only takes time.
    let batch_bytes = if file.rows() < 1000 { batch_bytes } else { usize::MAX };
    let mut bad_rows = Vec::new();
    let all = read(&file, batch_bytes, &mut bad_rows);
    let mut again = Vec::new();
    assert_eq!(
        read(&file, usize::MAX, &mut again),
        all,
        "batches of another size hold other rows"
    );
    assert_eq!(again, bad_rows);
    check_bad_rows(&file, bad_rows);
});

fn settings(choices: &mut Choices<'_>) -> CsvSettings {
    let [flags, delimiter, quote, shape] = choices.array();
    let mut settings = CsvSettings {
        delimiter: match delimiter % 8 {
            0..3 => None,
            3 => Some(b','),
            4 => Some(b';'),
            5 => Some(b'\t'),
            6 => Some(b'|'),
            _ => Some(choices.byte()),
        },
        quote: match quote % 8 {
            0..6 => b'"',
            6 => b'\'',
            _ => choices.byte(),
        },
        escape: (shape & 1 == 1).then_some(b'\\'),
        comment: (shape >> 1 & 1 == 1).then_some(b'#'),
        skip_rows: u64::from(shape >> 2 & 3),
        skip_footer: u64::from(shape >> 4 & 3),
        header: (shape >> 6 & 1 == 0).then_some(flags & 1 == 0),
        encoding: match flags >> 1 & 3 {
            0 => None,
            1 => Some(Encoding::Utf8),
            2 => Some(Encoding::Latin1),
            _ => Some(Encoding::Windows1252),
        },
        on_bad_row: match flags >> 3 & 1 {
            0 => OnBadRow::Refuse,
            _ => OnBadRow::Quarantine,
        },
        ..CsvSettings::default()
    };
    for _ in 0..flags >> 4 & 3 {
        settings
            .null
            .push(choices.one_of(&["NULL", "\\N", "", "0", "a"]).into());
    }
    // Names that the header lacks are refused: most inputs should get further than that.
    if flags >> 6 & 1 == 1 {
        settings
            .columns
            .insert(choices.one_of(&NAMES).into(), choices.one_of(&TYPES));
    }
    if flags >> 7 == 1 {
        settings
            .rename
            .insert(choices.one_of(&NAMES).into(), choices.one_of(&NAMES).into());
    }
    settings
}

/// The rest of the input as it is, or in an archive: a fuzzer does not find out how to make one that is sound.
fn packed(mut choices: Choices<'_>) -> Option<Vec<u8>> {
    let kind = choices.byte() % 8;
    let bytes = choices.rest();
    match kind {
        0..6 => Some(bytes.to_vec()),
        6 => {
            let mut archive = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            archive.write_all(bytes).ok()?;
            archive.finish().ok()
        }
        _ => zstd::encode_all(bytes, 1).ok(),
    }
}

/// All rows; what is left out of them goes to `bad_rows`.
fn read(file: &CsvFile, batch_bytes: usize, bad_rows: &mut Vec<u8>) -> RecordBatch {
    let batches = file.batches(batch_bytes).expect("it opened before");
    let batches: Vec<RecordBatch> = batches
        .write_bad_rows(bad_rows)
        .map(|batch| batch.expect("the second pass refuses nothing that the first accepted"))
        .inspect(|batch| assert!(batch.num_rows() > 0, "an empty batch"))
        .collect();
    let all = concat_batches(&file.schema(), &batches).expect("batches of one schema");
    assert_eq!(all.num_rows() as u64, file.rows());
    all
}

/// The file of the bad rows is a CSV file with as many rows.
fn check_bad_rows(file: &CsvFile, bad_rows: Vec<u8>) {
    assert_eq!(bad_rows.is_empty(), file.bad_rows() == 0);
    if bad_rows.is_empty() {
        return;
    }
    let settings = CsvSettings {
        delimiter: Some(b','),
        ..CsvSettings::default()
    };
    let apart = CsvFile::from_bytes("bad_rows.csv", bad_rows, &settings).expect("what was written is a CSV file");
    assert_eq!(apart.rows(), file.bad_rows());
    assert_eq!(apart.schema().fields().len(), 3);
}
