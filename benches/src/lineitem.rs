//! TPC-H's lineitem as record batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use tpchgen::generators::{LineItem, LineItemGenerator};

const BATCH_ROWS: usize = 8192;

/// The table at a scale factor, in the generator's order: 6,001,215 rows at 1.
pub fn batches(scale: f64) -> anyhow::Result<Vec<RecordBatch>> {
    let rows: Vec<LineItem<'_>> = LineItemGenerator::new(scale, 1, 1).iter().collect();
    rows.chunks(BATCH_ROWS).map(batch).collect()
}

fn batch(rows: &[LineItem<'_>]) -> anyhow::Result<RecordBatch> {
    let integers =
        |of: fn(&LineItem<'_>) -> i64| Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) as ArrayRef;
    let decimals = |of: fn(&LineItem<'_>) -> i64| -> anyhow::Result<ArrayRef> {
        let array = Decimal128Array::from_iter_values(rows.iter().map(|row| i128::from(of(row))));
        Ok(Arc::new(array.with_precision_and_scale(15, 2)?))
    };
    let dates = |of: fn(&LineItem<'_>) -> i32| Arc::new(Date32Array::from_iter_values(rows.iter().map(of))) as ArrayRef;
    let texts = |of: for<'a> fn(&'a LineItem<'_>) -> &'a str| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let decimal = DataType::Decimal128(15, 2);
    let columns: Vec<(&str, DataType, ArrayRef)> = vec![
        ("l_orderkey", DataType::Int64, integers(|r| r.l_orderkey)),
        ("l_partkey", DataType::Int64, integers(|r| r.l_partkey)),
        ("l_suppkey", DataType::Int64, integers(|r| r.l_suppkey)),
        ("l_linenumber", DataType::Int64, integers(|r| r.l_linenumber.into())),
        ("l_quantity", decimal.clone(), decimals(|r| r.l_quantity * 100)?),
        ("l_extendedprice", decimal.clone(), decimals(|r| r.l_extendedprice.0)?),
        ("l_discount", decimal.clone(), decimals(|r| r.l_discount.0)?),
        ("l_tax", decimal, decimals(|r| r.l_tax.0)?),
        ("l_returnflag", DataType::Utf8, texts(|r| r.l_returnflag)),
        ("l_linestatus", DataType::Utf8, texts(|r| r.l_linestatus)),
        ("l_shipdate", DataType::Date32, dates(|r| r.l_shipdate.to_unix_epoch())),
        (
            "l_commitdate",
            DataType::Date32,
            dates(|r| r.l_commitdate.to_unix_epoch()),
        ),
        (
            "l_receiptdate",
            DataType::Date32,
            dates(|r| r.l_receiptdate.to_unix_epoch()),
        ),
        ("l_shipinstruct", DataType::Utf8, texts(|r| r.l_shipinstruct)),
        ("l_shipmode", DataType::Utf8, texts(|r| r.l_shipmode)),
        ("l_comment", DataType::Utf8, texts(|r| r.l_comment)),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, ty, _)| Field::new(*name, ty.clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, _, array)| array).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}
