//! What the encoder writes, the decoder reads: every codec, generated values, chunks cut anywhere.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::BytesMut;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::{BatchSize, CopyDecoder, CopyEncoder};
use crate::{ColumnCodec, Error, char_text};

const ROWS: usize = 500;

fn codecs() -> Vec<ColumnCodec> {
    let scalars = [
        ColumnCodec::Bool,
        ColumnCodec::Int2,
        ColumnCodec::Int4,
        ColumnCodec::Int8,
        ColumnCodec::Oid,
        ColumnCodec::Float4,
        ColumnCodec::Float8,
        ColumnCodec::Numeric {
            precision: 38,
            scale: 10,
        },
        ColumnCodec::Numeric {
            precision: 15,
            scale: 2,
        },
        ColumnCodec::Money,
        ColumnCodec::Text,
        ColumnCodec::Char,
        ColumnCodec::Bytea,
        ColumnCodec::Date,
        ColumnCodec::Timestamp,
        ColumnCodec::Timestamptz,
    ];
    let lists = scalars.clone().map(|element| ColumnCodec::List {
        element: Box::new(element),
        element_oid: 4711,
    });
    scalars.into_iter().chain(lists).collect()
}

/// Values of a codec, about a tenth of them NULL, with the type's edges among them.
fn values(codec: &ColumnCodec, count: usize, random: &mut StdRng) -> ArrayRef {
    macro_rules! some {
        ($value:expr) => {
            (0..count).map(|_| {
                if random.random_ratio(1, 10) {
                    None
                } else {
                    Some($value)
                }
            })
        };
    }
    match codec {
        ColumnCodec::Bool => Arc::new(some!(random.random::<bool>()).collect::<BooleanArray>()),
        ColumnCodec::Int2 => Arc::new(some!(random.random::<i16>()).collect::<Int16Array>()),
        ColumnCodec::Int4 => Arc::new(some!(random.random::<i32>()).collect::<Int32Array>()),
        ColumnCodec::Int8 => Arc::new(some!(random.random::<i64>()).collect::<Int64Array>()),
        ColumnCodec::Oid => Arc::new(some!(i64::from(random.random::<u32>())).collect::<Int64Array>()),
        // Any bits: NaNs with their payloads too.
        ColumnCodec::Float4 => Arc::new(some!(f32::from_bits(random.random())).collect::<Float32Array>()),
        ColumnCodec::Float8 => Arc::new(some!(f64::from_bits(random.random())).collect::<Float64Array>()),
        ColumnCodec::Numeric { precision, .. } => {
            let max = 10i128.pow(u32::from(*precision)) - 1;
            let array = some!(match random.random_range(0..4) {
                0 => max,
                1 => -max,
                _ => random.random_range(-max..=max) / 10i128.pow(random.random_range(0..u32::from(*precision))),
            });
            Arc::new(array.collect::<Decimal128Array>().with_data_type(codec.data_type()))
        }
        ColumnCodec::Money => {
            let array = some!(i128::from(random.random::<i64>())).collect::<Decimal128Array>();
            Arc::new(array.with_data_type(codec.data_type()))
        }
        ColumnCodec::Text => {
            let mut text = || {
                (0..random.random_range(0..40))
                    .map(|_| random.random::<char>())
                    .collect::<String>()
            };
            Arc::new(
                (0..count)
                    .map(|i| (i % 10 > 0).then(&mut text))
                    .collect::<StringArray>(),
            )
        }
        ColumnCodec::Char => Arc::new(some!(char_text::decode(random.random())).collect::<StringArray>()),
        ColumnCodec::Bytea => {
            let mut bytes = || {
                (0..random.random_range(0..40))
                    .map(|_| random.random::<u8>())
                    .collect::<Vec<u8>>()
            };
            Arc::new(
                (0..count)
                    .map(|i| (i % 10 > 0).then(&mut bytes))
                    .collect::<BinaryArray>(),
            )
        }
        ColumnCodec::Date => Arc::new(some!(random.random_range(-2_440_588..2_145_042_541)).collect::<Date32Array>()),
        ColumnCodec::Timestamp | ColumnCodec::Timestamptz => {
            let array = some!(random.random_range(-210_866_803_200_000_000..i64::MAX));
            Arc::new(
                array
                    .collect::<TimestampMicrosecondArray>()
                    .with_data_type(codec.data_type()),
            )
        }
        ColumnCodec::List { element, .. } => {
            let nulls: Vec<bool> = (0..count).map(|_| random.random_ratio(9, 10)).collect();
            let lengths: Vec<usize> = nulls
                .iter()
                .map(|valid| if *valid { random.random_range(0..5) } else { 0 })
                .collect();
            let elements = values(element, lengths.iter().sum(), random);
            let DataType::List(field) = codec.data_type() else {
                unreachable!("a list's type is a list")
            };
            Arc::new(ListArray::new(
                field,
                OffsetBuffer::from_lengths(lengths),
                elements,
                Some(NullBuffer::from(nulls)),
            ))
        }
    }
}

/// A batch with a column `c<i>` for each codec.
fn batch_of(codecs: &[ColumnCodec], rows: usize, random: &mut StdRng) -> RecordBatch {
    let fields: Vec<Field> = codecs
        .iter()
        .enumerate()
        .map(|(i, codec)| Field::new(format!("c{i}"), codec.data_type(), true))
        .collect();
    let columns = codecs.iter().map(|codec| values(codec, rows, random)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// An encoder of [`batch_of`]'s columns.
fn encoder(codecs: &[ColumnCodec]) -> CopyEncoder {
    let names = (0..codecs.len()).map(|i| format!("c{i}"));
    CopyEncoder::new(names.zip(codecs.iter().cloned()).collect())
}

/// The whole COPY stream of a batch.
fn stream_of(batch: &RecordBatch, codecs: &[ColumnCodec]) -> BytesMut {
    let encoder = encoder(codecs);
    let mut stream = BytesMut::new();
    encoder.header(&mut stream);
    encoder.rows(batch, &mut stream).unwrap();
    encoder.trailer(&mut stream);
    stream
}

#[test]
fn what_is_encoded_is_decoded_bit_for_bit() {
    let seed = 20_260_131;
    let mut random = StdRng::seed_from_u64(seed);
    let codecs = codecs();
    let batch = batch_of(&codecs, ROWS, &mut random);
    let stream = stream_of(&batch, &codecs);

    for _ in 0..20 {
        let mut decoder = CopyDecoder::new(batch.schema(), &codecs, BatchSize::UNBOUNDED);
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(random.random_range(1..=rest.len().min(5000)));
            decoder.feed(chunk).unwrap();
            rest = tail;
        }
        assert_eq!(decoder.end().unwrap(), ROWS as u64);
        let decoded = decoder.last_batch().unwrap();
        // `==` would call -0 and 0, and no two NaNs, equal: the bytes decide.
        let again = stream_of(&decoded, &codecs);
        assert!(again == stream, "seed {seed}");
        assert_eq!(decoded, batch, "seed {seed}");
    }
}

/// What a row group begins and ends with depends on its batches, and so do a file's bytes.
#[test]
fn the_same_rows_make_the_same_batches_wherever_chunks_are_cut() {
    let seed = 20_260_203;
    let mut random = StdRng::seed_from_u64(seed);
    let codecs = codecs();
    let batch = batch_of(&codecs, ROWS, &mut random);
    let stream = stream_of(&batch, &codecs);
    for batch_max in [
        BatchSize {
            rows: 7,
            bytes: usize::MAX,
        },
        BatchSize {
            rows: usize::MAX,
            bytes: 3000,
        },
        BatchSize {
            rows: 40,
            bytes: 20_000,
        },
        BatchSize {
            rows: ROWS,
            bytes: usize::MAX,
        },
    ] {
        let mut decoded = (0..10).map(|round| {
            let mut decoder = CopyDecoder::new(batch.schema(), &codecs, batch_max);
            let mut batches = Vec::new();
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let most = if round == 0 { rest.len() } else { rest.len().min(4000) };
                let (chunk, tail) = rest.split_at(if round == 0 {
                    most
                } else {
                    random.random_range(1..=most)
                });
                decoder.feed(chunk).unwrap();
                batches.extend(std::iter::from_fn(|| decoder.full_batch()));
                rest = tail;
            }
            assert_eq!(decoder.end().unwrap(), ROWS as u64);
            batches.push(decoder.last_batch().unwrap());
            batches
        });
        let whole = decoded.next().unwrap();
        assert!(whole.len() > 1 && whole[..whole.len() - 1].iter().all(|batch| batch.num_rows() > 0));
        assert!(whole.iter().all(|batch| batch.num_rows() <= batch_max.rows));
        assert_eq!(whole.iter().map(RecordBatch::num_rows).sum::<usize>(), ROWS);
        for cut in decoded {
            assert!(cut == whole, "seed {seed}, {batch_max:?}");
        }
    }
}

/// A slice of a list's array has the items of all rows, and a NULL may have some too.
#[test]
fn slices_are_encoded_as_the_whole_is() {
    let seed = 20_260_201;
    let mut random = StdRng::seed_from_u64(seed);
    let codecs = codecs();
    let batch = batch_of(&codecs, ROWS, &mut random);
    let encoder = encoder(&codecs);
    let (mut whole, mut sliced) = (BytesMut::new(), BytesMut::new());
    encoder.rows(&batch, &mut whole).unwrap();
    let mut at = 0;
    while at < ROWS {
        let rows = random.random_range(1..50).min(ROWS - at);
        encoder.rows(&batch.slice(at, rows), &mut sliced).unwrap();
        at += rows;
    }
    assert!(whole == sliced, "seed {seed}");
}

/// Damaged streams are errors or, where the damage makes other values, batches: never a panic, and
/// no batch of what an error left half done.
#[test]
fn damage_never_panics() {
    let seed = 7;
    let mut random = StdRng::seed_from_u64(seed);
    let codecs = codecs();
    let batch = batch_of(&codecs, 3, &mut random);
    let schema = batch.schema();
    let stream = stream_of(&batch, &codecs);
    let mut refused = 0;
    for _ in 0..5000 {
        let mut damaged = stream.to_vec();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(19..damaged.len());
            match random.random_range(0..3) {
                0 => damaged[at] = random.random(),
                1 => damaged.truncate(at),
                _ => damaged.insert(at, random.random()),
            }
            if damaged.len() <= 20 {
                break;
            }
        }
        let mut decoder = CopyDecoder::new(schema.clone(), &codecs, BatchSize::UNBOUNDED);
        let fed = decoder.feed(&damaged);
        let ended = decoder.end();
        let batch = decoder.last_batch();
        assert!(fed.is_ok() || batch.is_err(), "seed {seed}");
        match fed.and(ended).and(batch) {
            Ok(_) => {}
            Err(Error::Stream { .. } | Error::Value { .. } | Error::ArrayShape { .. } | Error::NotText { .. }) => {
                refused += 1;
            }
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    assert!(refused > 1000, "only {refused} of 5,000 damaged streams were refused");
}

#[test]
fn what_is_no_text_or_no_char_is_refused() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("no", DataType::Utf8, true)]));
    let mut stream = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x02".to_vec();
    stream.extend(b"a\xff");
    let mut decoder = CopyDecoder::new(schema.clone(), &[ColumnCodec::Text], BatchSize::UNBOUNDED);
    decoder.feed(&stream).unwrap();
    let error = decoder.last_batch().unwrap_err().to_string();
    assert_eq!(error, r#"column no: the value "a\xff" is not text in UTF-8"#);

    let batch = RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(vec!["ab"]))]).unwrap();
    let encoder = CopyEncoder::new(vec![("no".into(), ColumnCodec::Char)]);
    let error = encoder.rows(&batch, &mut BytesMut::new()).unwrap_err().to_string();
    assert_eq!(error, r#"column no: "ab" is no "char""#);
}

/// A list's items are taken as they are or not at all, as a column's are.
#[test]
fn the_items_of_lists_are_never_changed() {
    let list = |field: DataType, items: ArrayRef| -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths([2]);
        Arc::new(ListArray::new(
            Arc::new(Field::new("item", field, true)),
            offsets,
            items,
            None,
        ))
    };
    let encode = |array: ArrayRef, element, element_oid| {
        let codec = ColumnCodec::List {
            element: Box::new(element),
            element_oid,
        };
        let batch = RecordBatch::try_from_iter([("a", array)]).unwrap();
        CopyEncoder::new(vec![("a".into(), codec)]).rows(&batch, &mut BytesMut::new())
    };
    let tiny = list(DataType::Int8, Arc::new(Int8Array::from(vec![Some(1), None])));
    assert!(encode(tiny.clone(), ColumnCodec::Int2, 21).is_ok());
    assert!(encode(tiny, ColumnCodec::Int4, 23).is_err());
    let cents = Decimal128Array::from(vec![125, 150])
        .with_precision_and_scale(10, 2)
        .unwrap();
    let numeric = |precision, scale| ColumnCodec::Numeric { precision, scale };
    let cents = list(DataType::Decimal128(10, 2), Arc::new(cents));
    assert!(encode(cents.clone(), numeric(12, 2), 1700).is_ok());
    assert!(encode(cents, numeric(10, 1), 1700).is_err());
}
