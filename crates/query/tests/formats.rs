//! Every format, to the character, for every type.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int64Array, IntervalMonthDayNanoArray, ListArray, MapBuilder, NullArray, RecordBatch,
    StringArray, StringBuilder, StringViewArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, IntervalMonthDayNano, Schema, i256};
use lake_query::{Error, Format, FormatWriter};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(schema, arrays).unwrap()
}

fn write(format: Format, batch: &RecordBatch) -> String {
    let mut writer = FormatWriter::new(format, &batch.schema(), Vec::new()).unwrap();
    writer.write(batch).unwrap();
    assert_eq!(writer.rows(), batch.num_rows() as u64);
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

/// The values of one column as CSV and as NDJSON, a line each.
fn values(array: ArrayRef) -> (Vec<String>, Vec<String>) {
    let batch = batch(vec![("c", array)]);
    let csv = write(Format::Csv, &batch);
    let json = write(Format::Ndjson, &batch);
    let value = |line: &str| {
        line.strip_prefix("{\"c\":")
            .unwrap()
            .strip_suffix('}')
            .unwrap()
            .to_owned()
    };
    (
        csv.lines().skip(1).map(str::to_owned).collect(),
        json.lines().map(value).collect(),
    )
}

fn check(array: ArrayRef, csv: &[&str], json: &[&str]) {
    let data_type = array.data_type().clone();
    let (as_csv, as_json) = values(array);
    assert_eq!(as_csv, csv, "{data_type}");
    assert_eq!(as_json, json, "{data_type}");
    for value in as_json {
        serde_json::from_str::<serde_json::Value>(&value).unwrap();
    }
}

#[test]
fn booleans_and_numbers() {
    check(
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        &["true", "false", ""],
        &["true", "false", "null"],
    );
    check(
        Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None])),
        &["-9223372036854775808", "9223372036854775807", ""],
        &["-9223372036854775808", "9223372036854775807", "null"],
    );
    check(Arc::new(Int8Array::from(vec![-128])), &["-128"], &["-128"]);
    let max = u64::MAX.to_string();
    check(Arc::new(UInt64Array::from(vec![u64::MAX])), &[&max], &[&max]);
    check(Arc::new(NullArray::new(1)), &[""], &["null"]);
}

#[test]
fn decimals_have_all_their_digits() {
    let decimal = |values: Vec<Option<i128>>, precision, scale| -> ArrayRef {
        Arc::new(
            Decimal128Array::from(values)
                .with_precision_and_scale(precision, scale)
                .unwrap(),
        )
    };
    let digits = ["12345678901234567890123456789012345.678", "-0.005", "0.000"];
    check(
        decimal(
            vec![
                Some(12_345_678_901_234_567_890_123_456_789_012_345_678),
                Some(-5),
                Some(0),
                None,
            ],
            38,
            3,
        ),
        &[digits[0], digits[1], digits[2], ""],
        &[digits[0], digits[1], digits[2], "null"],
    );
    check(decimal(vec![Some(100)], 5, 0), &["100"], &["100"]);
    let wide = Decimal256Array::from(vec![i256::from_i128(7)])
        .with_precision_and_scale(76, 2)
        .unwrap();
    check(Arc::new(wide), &["0.07"], &["0.07"]);
}

#[test]
fn floats_are_the_shortest_that_read_back() {
    let text = [
        "32.38",
        "0.1",
        "5",
        "-0",
        "1e20",
        "1.5e-7",
        "NaN",
        "Infinity",
        "-Infinity",
    ];
    let json = [
        "32.38",
        "0.1",
        "5",
        "-0",
        "1e20",
        "1.5e-7",
        "\"NaN\"",
        "\"Infinity\"",
        "\"-Infinity\"",
    ];
    let floats = [
        32.38,
        0.1,
        5.0,
        -0.0,
        1e20,
        1.5e-7,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ];
    check(Arc::new(Float32Array::from(floats.to_vec())), &text, &json);
    let doubles = [
        32.38,
        0.1,
        5.0,
        -0.0,
        1e20,
        1.5e-7,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    check(Arc::new(Float64Array::from(doubles.to_vec())), &text, &json);
    for value in [f64::MAX, f64::MIN_POSITIVE, 5e-324, 1.0 / 3.0, 123_456_789.123_456_79] {
        let (csv, json) = values(Arc::new(Float64Array::from(vec![value])));
        assert_eq!(csv[0].parse::<f64>().unwrap().to_bits(), value.to_bits());
        assert_eq!(json[0], csv[0]);
    }
}

#[test]
fn strings_are_quoted_only_where_they_must_be() {
    let strings = vec![
        Some("plain"),
        Some(""),
        None,
        Some("a,b"),
        Some("say \"hi\""),
        Some(" x "),
        Some("é\t€"),
        Some("\\."),
    ];
    check(
        Arc::new(StringArray::from(strings.clone())),
        &[
            "plain",
            "\"\"",
            "",
            "\"a,b\"",
            "\"say \"\"hi\"\"\"",
            " x ",
            "é\t€",
            "\"\\.\"",
        ],
        &[
            "\"plain\"",
            "\"\"",
            "null",
            "\"a,b\"",
            "\"say \\\"hi\\\"\"",
            "\" x \"",
            "\"é\\t€\"",
            "\"\\\\.\"",
        ],
    );
    let lines: ArrayRef = Arc::new(StringViewArray::from(vec!["two\nlines", "a\r"]));
    let lines = batch(vec![("c", lines)]);
    assert_eq!(write(Format::Csv, &lines), "c\n\"two\nlines\"\n\"a\r\"\n");
    assert_eq!(
        write(Format::Ndjson, &lines),
        "{\"c\":\"two\\nlines\"}\n{\"c\":\"a\\r\"}\n"
    );
    let dictionary: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
    check(Arc::new(dictionary), &["a", "", "a"], &["\"a\"", "null", "\"a\""]);
    check(
        Arc::new(BinaryArray::from(vec![Some(&b"\x00\xffA"[..]), Some(b""), None])),
        &["\\x00ff41", "\\x", ""],
        &["\"\\\\x00ff41\"", "\"\\\\x\"", "null"],
    );
}

#[test]
fn dates_and_times() {
    check(
        Arc::new(Date32Array::from(vec![
            Some(18_658),
            Some(-719_528),
            Some(2_932_897),
            None,
        ])),
        &["2021-01-31", "0001-01-01 BC", "10000-01-01", ""],
        &["\"2021-01-31\"", "\"0000-01-01\"", "\"+010000-01-01\"", "null"],
    );
    let micros = 1_612_094_400_000_000;
    check(
        Arc::new(TimestampMicrosecondArray::from(vec![
            Some(micros),
            Some(micros + 123_456),
            None,
        ])),
        &["2021-01-31 12:00:00", "2021-01-31 12:00:00.123456", ""],
        &["\"2021-01-31T12:00:00\"", "\"2021-01-31T12:00:00.123456\"", "null"],
    );
    check(
        Arc::new(TimestampMicrosecondArray::from(vec![micros + 500_000, i64::MAX]).with_timezone("UTC")),
        &["2021-01-31 12:00:00.5+00", "294247-01-10 04:00:54.775807+00"],
        &["\"2021-01-31T12:00:00.5Z\"", "\"+294247-01-10T04:00:54.775807Z\""],
    );
    check(
        Arc::new(TimestampSecondArray::from(vec![1])),
        &["1970-01-01 00:00:01"],
        &["\"1970-01-01T00:00:01\""],
    );
    check(
        Arc::new(TimestampMillisecondArray::from(vec![1]).with_timezone("+02:00")),
        &["1970-01-01 02:00:00.001+02:00"],
        &["\"1970-01-01 02:00:00.001+02:00\""],
    );
    check(
        Arc::new(TimestampNanosecondArray::from(vec![1])),
        &["1970-01-01 00:00:00.000000001"],
        &["\"1970-01-01T00:00:00.000000001\""],
    );
    check(
        Arc::new(Time64MicrosecondArray::from(vec![45_000_500_000])),
        &["12:30:00.500"],
        &["\"12:30:00.500\""],
    );
    let interval = IntervalMonthDayNano::new(1, 2, 3_500_000_000);
    check(
        Arc::new(IntervalMonthDayNanoArray::from(vec![interval])),
        &["1 mons 2 days 3.500000000 secs"],
        &["\"1 mons 2 days 3.500000000 secs\""],
    );
}

#[test]
fn lists_structs_and_maps() {
    let list =
        ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None, Some(3)]), Some(vec![]), None]);
    check(
        Arc::new(list),
        &["\"{1,NULL,3}\"", "{}", ""],
        &["[1,null,3]", "[]", "null"],
    );

    let mut strings = arrow::array::ListBuilder::new(StringBuilder::new());
    strings.append_value([Some("a"), Some("b c"), None, Some("null"), Some(""), Some("q\"")]);
    check(
        Arc::new(strings.finish()),
        &[r#""{a,""b c"",NULL,""null"","""",""q\""""}""#],
        &[r#"["a","b c",null,"null","","q\""]"#],
    );

    let fields: Vec<(Arc<Field>, ArrayRef)> = vec![
        (
            Arc::new(Field::new("x", DataType::Int64, true)),
            Arc::new(Int64Array::from(vec![Some(1), None])),
        ),
        (
            Arc::new(Field::new("y", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec!["a", "b"])),
        ),
    ];
    check(
        Arc::new(StructArray::from(fields)),
        &[r#""{""x"":1,""y"":""a""}""#, r#""{""x"":null,""y"":""b""}""#],
        &[r#"{"x":1,"y":"a"}"#, r#"{"x":null,"y":"b"}"#],
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("k");
    map.values().append_null();
    map.append(true).unwrap();
    check(Arc::new(map.finish()), &[r#""{""k"":null}""#], &[r#"{"k":null}"#]);
}

#[test]
fn tsv_is_what_copy_reads() {
    let strings: ArrayRef = Arc::new(StringArray::from(vec![
        Some("a\tb\nc\\d\r"),
        None,
        Some(""),
        Some("\\N"),
    ]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(4)]));
    let batch = batch(vec![("s", strings), ("n", numbers)]);
    assert_eq!(
        write(Format::Tsv, &batch),
        "s\tn\na\\tb\\nc\\\\d\\r\t1\n\\N\t2\n\t\\N\n\\\\N\t4\n"
    );
}

#[test]
fn json_is_one_array_of_objects() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let strings: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
    let batch = batch(vec![("a", numbers), ("b \"q\"", strings)]);
    let expected = "[{\"a\":1,\"b \\\"q\\\"\":\"x\"},\n {\"a\":null,\"b \\\"q\\\"\":\"y\"}]\n";
    assert_eq!(write(Format::Json, &batch), expected);
    let twice = [batch.clone(), batch.clone()];
    let mut writer = FormatWriter::new(Format::Json, &batch.schema(), Vec::new()).unwrap();
    for batch in &twice {
        writer.write(batch).unwrap();
    }
    let parsed: serde_json::Value = serde_json::from_slice(&writer.finish().unwrap()).unwrap();
    assert_eq!(parsed.as_array().unwrap().len(), 4);
}

#[test]
fn no_rows_are_an_empty_document() {
    let none: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
    let batch = batch(vec![("a", none)]);
    for (format, expected) in [
        (Format::Csv, "a\n"),
        (Format::Tsv, "a\n"),
        (Format::Json, "[]\n"),
        (Format::Ndjson, ""),
        (Format::Table, " a \n---\n(0 rows)\n"),
    ] {
        assert_eq!(write(format, &batch), expected, "{format}");
    }
}

#[test]
fn tables_are_aligned_and_harmless() {
    let names: ArrayRef = Arc::new(StringArray::from(vec![
        Some("Ada"),
        None,
        Some("日本"),
        Some("a\u{1b}[2Jb\nc"),
    ]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(-20), None, Some(3)]));
    let table = batch(vec![("name", names), ("n", numbers)]);
    let lines: Vec<String> = write(Format::Table, &table).lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "      name      |  n   ");
    assert_eq!(lines[1], "----------------+------");
    assert_eq!(lines[2], " Ada            |    1");
    assert_eq!(lines[3], " NULL           |  -20");
    assert_eq!(lines[4], " 日本           | NULL");
    assert_eq!(lines[5], " a\\u{1b}[2Jb\\nc |    3");
    assert_eq!(lines[6], "(4 rows)");
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    assert_eq!(
        write(Format::Table, &batch(vec![("one", one)])),
        " one \n-----\n   1\n(1 row)\n"
    );
}

#[test]
fn a_table_of_many_rows_is_written_as_it_comes() {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    let mut writer = FormatWriter::new(Format::Table, &schema, Vec::new()).unwrap();
    for from in [0, 900, 1_800] {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + 900));
        writer
            .write(&RecordBatch::try_new(schema.clone(), vec![numbers]).unwrap())
            .unwrap();
    }
    let text = String::from_utf8(writer.finish().unwrap()).unwrap();
    // The first thousand rows have three digits, the wider ones stick out.
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[2], lines[1001], lines[1002]), ("   0", " 999", " 1000"));
    assert_eq!(lines[2701..], [" 2699", "(2700 rows)"]);
}

#[test]
fn columns_of_one_name_are_refused_where_a_reader_loses_one() {
    let one: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let twice = batch(vec![("id", one.clone()), ("id", one)]);
    assert_eq!(write(Format::Csv, &twice), "id,id\n1,1\n");
    for format in [Format::Json, Format::Ndjson, Format::Parquet] {
        let refused = FormatWriter::new(format, &twice.schema(), Vec::new()).map(|_| ());
        assert!(matches!(refused, Err(Error::DuplicateColumn { .. })), "{format}");
    }
}

#[test]
fn parquet_is_read_back_in_the_types_of_the_lake() {
    let view: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), None]));
    let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 0]));
    let batch = batch(vec![("s", view), ("u", unsigned)]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = FormatWriter::new(Format::Parquet, &batch.schema(), file).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
    let read: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    assert_eq!(read[0].schema().field(0).data_type(), &DataType::Utf8);
    assert_eq!(write(Format::Csv, &read[0]), "s,u\na,18446744073709551615\n,0\n");
}

/// An output whose reader goes away after some bytes.
struct ClosedPipe {
    room: usize,
}

impl Write for ClosedPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room < bytes.len() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.room -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_known_in_every_format() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5_000));
    let batch = batch(vec![("n", numbers)]);
    for format in Format::ALL {
        let attempt = || {
            let mut writer = FormatWriter::new(format, &batch.schema(), ClosedPipe { room: 10 })?;
            writer.write(&batch)?;
            writer.finish().map(|_| ())
        };
        let failure = attempt().unwrap_err();
        assert!(failure.is_broken_pipe(), "{format}: {failure:?}");
    }
}
