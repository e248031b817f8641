//! Rows of all common types, a tenth of the values null, from a fixed seed.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use lake_postgres::ColumnCodec;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

const SEED: u64 = 42;
/// The OID of `integer`.
const INT4_OID: u32 = 23;
const SECOND_MICROS: i64 = 1_000_000;

/// So many rows, and how each column travels.
pub fn batches(rows: usize, batch_rows: usize) -> anyhow::Result<(Vec<RecordBatch>, Vec<ColumnCodec>)> {
    let codecs = vec![
        ColumnCodec::Bool,
        ColumnCodec::Int2,
        ColumnCodec::Int4,
        ColumnCodec::Int8,
        ColumnCodec::Float4,
        ColumnCodec::Float8,
        ColumnCodec::Numeric {
            precision: 38,
            scale: 10,
        },
        ColumnCodec::Text,
        ColumnCodec::Text, // as a uuid comes
        ColumnCodec::Bytea,
        ColumnCodec::Date,
        ColumnCodec::Timestamp,
        ColumnCodec::Timestamptz,
        ColumnCodec::List {
            element: Box::new(ColumnCodec::Int4),
            element_oid: INT4_OID,
        },
    ];
    let fields = codecs.iter().enumerate();
    let fields = fields.map(|(index, codec)| Field::new(format!("c{index}"), codec.data_type(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut dice = Dice(StdRng::seed_from_u64(SEED));
    let mut batches = Vec::new();
    for first in (0..rows).step_by(batch_rows) {
        let columns = columns(&mut dice, batch_rows.min(rows - first))?;
        batches.push(RecordBatch::try_new(schema.clone(), columns)?);
    }
    Ok((batches, codecs))
}

/// In the order of the codecs.
fn columns(dice: &mut Dice, rows: usize) -> anyhow::Result<Vec<ArrayRef>> {
    let numerics: Decimal128Array = dice.column(rows, |rng| i128::from(rng.random::<i64>()));
    let moments = |rng: &mut StdRng| rng.random_range(0..2_000_000_000) * SECOND_MICROS;
    let timestamps: TimestampMicrosecondArray = dice.column(rows, moments);
    let timestamptzs: TimestampMicrosecondArray = dice.column(rows, moments);
    let lists: Vec<Option<Vec<Option<i32>>>> = dice.values(rows, |rng| {
        let length = rng.random_range(0..5);
        (0..length).map(|_| Some(rng.random())).collect()
    });
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    // Delta calls a list's items `element`.
    let element = Arc::new(Field::new("element", DataType::Int32, true));
    let lists = ListArray::try_new(
        element,
        lists.offsets().clone(),
        lists.values().clone(),
        lists.nulls().cloned(),
    )?;
    Ok(vec![
        Arc::new(dice.column::<_, BooleanArray>(rows, |rng| rng.random::<bool>())),
        Arc::new(dice.column::<_, Int16Array>(rows, |rng| rng.random::<i16>())),
        Arc::new(dice.column::<_, Int32Array>(rows, |rng| rng.random::<i32>())),
        Arc::new(dice.column::<_, Int64Array>(rows, |rng| rng.random::<i64>())),
        Arc::new(dice.column::<_, Float32Array>(rows, |rng| rng.random::<f32>())),
        Arc::new(dice.column::<_, Float64Array>(rows, |rng| rng.random::<f64>())),
        Arc::new(numerics.with_precision_and_scale(38, 10)?),
        Arc::new(dice.column::<_, StringArray>(rows, |rng| "kinds of text, ".repeat(rng.random_range(0..6)))),
        Arc::new(dice.column::<_, StringArray>(rows, |rng| {
            let number = format!("{:032x}", rng.random::<u128>());
            format!(
                "{}-{}-{}-{}-{}",
                &number[..8],
                &number[8..12],
                &number[12..16],
                &number[16..20],
                &number[20..]
            )
        })),
        Arc::new(dice.column::<_, BinaryArray>(rows, |rng| rng.random::<[u8; 24]>().to_vec())),
        Arc::new(dice.column::<_, Date32Array>(rows, |rng| rng.random_range(0..20_000))),
        Arc::new(timestamps),
        Arc::new(timestamptzs.with_timezone("UTC")),
        Arc::new(lists),
    ])
}

struct Dice(StdRng);

impl Dice {
    fn values<T>(&mut self, rows: usize, value: impl Fn(&mut StdRng) -> T) -> Vec<Option<T>> {
        (0..rows)
            .map(|_| self.0.random_bool(0.9).then(|| value(&mut self.0)))
            .collect()
    }

    fn column<T, A: FromIterator<Option<T>>>(&mut self, rows: usize, value: impl Fn(&mut StdRng) -> T) -> A {
        self.values(rows, value).into_iter().collect()
    }
}
