//! COPY streams: whatever comes, no panic and no more memory than the stream; and what is decoded is encoded back.

#![no_main]

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Decimal128Type, Field, Schema, SchemaRef};
use bytes::BytesMut;
use lake_fuzz::{Bounded, Choices};
use lake_postgres::ColumnCodec;
use lake_postgres::copy::{BatchSize, CopyDecoder, CopyDigest, CopyEncoder};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded::new(16 << 20);

const ROWS_MAX: usize = 256;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let codecs: Vec<ColumnCodec> = (0..choices.byte() % 6).map(|_| codec(&mut choices)).collect();
    let batch_rows = usize::from(choices.byte() % 8) + 1;
    let cuts: [u8; 3] = choices.array();
    let stream = stream(&codecs, choices);
    let fields = codecs.iter().enumerate();
    let fields = fields.map(|(i, codec)| Field::new(format!("c{i}"), codec.data_type(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));

    let cut = decode(&schema, &codecs, &chunks(&stream, cuts), batch_rows);
    let whole = decode(&schema, &codecs, &[&stream], usize::MAX);
    assert_eq!(cut, whole, "the cuts between chunks make a difference");
    let digest = digest(codecs.len(), &chunks(&stream, cuts));
    let Ok(decoded) = whole else { return };
    assert_eq!(digest, Ok(decoded.num_rows() as u64), "the digest reads another stream");

    for column in decoded.columns() {
        check_precision(column);
    }
    let encoded = encode(&decoded, &codecs);
    let again = decode(&schema, &codecs, &chunks(&encoded, cuts), batch_rows).expect("what was encoded is a stream");
    // Arrow compares arrays by their bytes: NaNs with their payloads, -0 apart from 0.
    assert_eq!(again, decoded, "it came back as other values");
    assert_eq!(encode(&again, &codecs), encoded);
});

/// Arrow itself takes a decimal of more digits than its type has, and Parquet would cut it.
fn check_precision(column: &ArrayRef) {
    if let Some(list) = column.as_list_opt::<i32>() {
        check_precision(list.values());
    } else if let Some(decimals) = column.as_primitive_opt::<Decimal128Type>() {
        let validated = decimals.validate_decimal_precision(decimals.precision());
        validated.expect("a decimal has no more digits than its type");
    }
}

fn codec(choices: &mut Choices<'_>) -> ColumnCodec {
    let kind = choices.byte();
    if kind & 0x80 == 0 {
        return scalar(kind, choices);
    }
    ColumnCodec::List {
        element_oid: choices.byte().into(),
        element: Box::new(scalar(kind, choices)),
    }
}

/// Every codec but that of lists; `value` has a match that says when one is new.
fn scalar(kind: u8, choices: &mut Choices<'_>) -> ColumnCodec {
    match kind % 15 {
        0 => ColumnCodec::Bool,
        1 => ColumnCodec::Int2,
        2 => ColumnCodec::Int4,
        3 => ColumnCodec::Int8,
        4 => ColumnCodec::Oid,
        5 => ColumnCodec::Float4,
        6 => ColumnCodec::Float8,
        7 => ColumnCodec::Money,
        8 => ColumnCodec::Text,
        9 => ColumnCodec::Bytea,
        10 => ColumnCodec::Date,
        11 => ColumnCodec::Timestamp,
        12 => ColumnCodec::Timestamptz,
        13 => ColumnCodec::Char,
        _ => {
            let precision = choices.byte() % 38 + 1;
            let scale = choices.byte() % (precision + 1);
            ColumnCodec::Numeric { precision, scale }
        }
    }
}

/// The input as it is, the same after a header, or a sound stream made of it and then damaged.
fn stream(codecs: &[ColumnCodec], mut choices: Choices<'_>) -> Vec<u8> {
    let mut out = BytesMut::new();
    let encoder = CopyEncoder::new(Vec::new());
    match choices.byte() % 4 {
        0 => return choices.rest().to_vec(),
        1 => {
            encoder.header(&mut out);
            out.extend_from_slice(choices.rest());
            return out.to_vec();
        }
        _ => {}
    }
    let damages: Vec<[u8; 4]> = (0..choices.byte() % 4).map(|_| choices.array()).collect();
    encoder.header(&mut out);
    let mut stream = out.to_vec();
    for _ in 0..ROWS_MAX {
        if choices.is_empty() {
            break;
        }
        stream.extend((codecs.len() as i16).to_be_bytes());
        for codec in codecs {
            field(codec, &mut choices, &mut stream);
        }
        if codecs.is_empty() {
            choices.byte();
        }
    }
    stream.extend((-1i16).to_be_bytes());
    for [kind, place @ .., byte] in damages {
        damage(&mut stream, kind, u16::from_be_bytes(place).into(), byte);
    }
    stream
}

fn damage(stream: &mut Vec<u8>, kind: u8, place: usize, byte: u8) {
    let place = place % (stream.len() + 1);
    let lengths = [-2, -1, 0, 1, 1 << 16, (1 << 30) - 1, 1 << 30, i32::MAX, i32::MIN];
    match kind % 5 {
        0 => stream.truncate(place),
        1 => stream.insert(place, byte),
        2 if place < stream.len() => drop(stream.remove(place)),
        3 if place + 4 <= stream.len() => {
            let length: i32 = lengths[usize::from(byte) % lengths.len()];
            stream[place..place + 4].copy_from_slice(&length.to_be_bytes());
        }
        _ if place < stream.len() => stream[place] = byte,
        _ => stream.push(byte),
    }
}

/// A field as a server sends it: its length, then its bytes.
fn field(codec: &ColumnCodec, choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    if choices.byte() % 8 == 7 {
        out.extend((-1i32).to_be_bytes());
        return;
    }
    let begin = out.len();
    out.extend([0; 4]);
    value(codec, choices, out);
    let length = (out.len() - begin - 4) as i32;
    out[begin..begin + 4].copy_from_slice(&length.to_be_bytes());
}

fn value(codec: &ColumnCodec, choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    match codec {
        ColumnCodec::Bool => out.push(choices.byte() & 1),
        ColumnCodec::Char => out.push(choices.byte()),
        ColumnCodec::Int2 => out.extend(choices.array::<2>()),
        ColumnCodec::Int4 | ColumnCodec::Oid | ColumnCodec::Float4 | ColumnCodec::Date => {
            out.extend(choices.array::<4>());
        }
        ColumnCodec::Int8
        | ColumnCodec::Float8
        | ColumnCodec::Money
        | ColumnCodec::Timestamp
        | ColumnCodec::Timestamptz => out.extend(choices.array::<8>()),
        ColumnCodec::Text => {
            let count = choices.byte() % 16;
            let text = String::from_utf8_lossy(choices.bytes(count.into()));
            out.extend(text.as_bytes());
        }
        ColumnCodec::Bytea => {
            let count = choices.byte() % 16;
            out.extend(choices.bytes(count.into()));
        }
        ColumnCodec::Numeric { scale, .. } => {
            let [count, weight, sign] = choices.array();
            let count = count % 11;
            // Most digits where the type has them, some anywhere.
            let weight = i16::from(weight.cast_signed()) / if sign & 2 == 0 { 16 } else { 1 };
            out.extend(u16::from(count).to_be_bytes());
            out.extend(weight.to_be_bytes());
            out.extend(if sign & 1 == 0 { [0, 0] } else { [0x40, 0] });
            out.extend(u16::from(*scale).to_be_bytes());
            for _ in 0..count {
                // The edges of a digit are where carries and signs go wrong.
                let digit = match sign & 4 {
                    0 => u16::from_be_bytes(choices.array()) % 10_000,
                    _ => choices.one_of(&[0, 1, 10, 100, 1000, 9999]),
                };
                out.extend(digit.to_be_bytes());
            }
        }
        ColumnCodec::List { element, element_oid } => {
            let count = i32::from(choices.byte() % 4);
            out.extend(i32::from(count > 0).to_be_bytes());
            out.extend(1i32.to_be_bytes());
            out.extend(element_oid.to_be_bytes());
            if count > 0 {
                out.extend(count.to_be_bytes());
                out.extend(1i32.to_be_bytes());
            }
            for _ in 0..count {
                field(element, choices, out);
            }
        }
    }
}

/// The stream in chunks of these lengths, in turn.
fn chunks(stream: &[u8], lengths: [u8; 3]) -> Vec<&[u8]> {
    let mut lengths = lengths.into_iter().cycle();
    let mut chunks = Vec::new();
    let mut rest = stream;
    while let (false, Some(length)) = (rest.is_empty(), lengths.next()) {
        let (chunk, tail) = rest.split_at((usize::from(length) + 1).min(rest.len()));
        chunks.push(chunk);
        rest = tail;
    }
    chunks
}

/// All that the stream holds, or why it is refused.
fn decode(
    schema: &SchemaRef,
    codecs: &[ColumnCodec],
    chunks: &[&[u8]],
    batch_rows: usize,
) -> Result<RecordBatch, String> {
    let batch_max = BatchSize {
        rows: batch_rows.max(1),
        ..BatchSize::UNBOUNDED
    };
    let mut decoder = CopyDecoder::new(schema.clone(), codecs, batch_max);
    let mut batches = Vec::new();
    for chunk in chunks {
        if let Err(error) = decoder.feed(chunk) {
            // Half a row may be in it: there is no batch to be had, and no panic either.
            let _ = decoder.last_batch();
            return Err(error.to_string());
        }
        batches.extend(std::iter::from_fn(|| decoder.full_batch()));
    }
    let rows = decoder.end().map_err(|error| error.to_string())?;
    batches.push(decoder.last_batch().map_err(|error| error.to_string())?);
    let all = concat_batches(schema, &batches).expect("batches of one schema");
    assert_eq!(all.num_rows() as u64, rows);
    Ok(all)
}

fn digest(columns: usize, chunks: &[&[u8]]) -> Result<u64, String> {
    let mut digest = CopyDigest::new(columns);
    for chunk in chunks {
        digest.feed(chunk).map_err(|error| error.to_string())?;
    }
    let digest = digest.end().map_err(|error| error.to_string())?;
    Ok(digest.rows)
}

fn encode(batch: &RecordBatch, codecs: &[ColumnCodec]) -> BytesMut {
    let names = batch.schema_ref().fields().iter().map(|field| field.name().clone());
    let encoder = CopyEncoder::new(names.zip(codecs.iter().cloned()).collect());
    let mut out = BytesMut::new();
    encoder.header(&mut out);
    encoder
        .rows(batch, &mut out)
        .expect("what came from Postgres goes back");
    encoder.trailer(&mut out);
    out
}
