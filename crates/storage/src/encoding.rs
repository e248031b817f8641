//! How Parquet holds a column, by a look at its first values.
//!
//! The Parquet library's own choice, a dictionary until it is full, is dear where values seldom repeat:
//! all is hashed for nothing, and what follows is written plain. `lake-bench encodings` prints figures.

use std::collections::HashSet;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::datatypes::{DataType, Field, FieldRef};
use parquet::basic::Encoding;
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// Values of a column that are looked at.
const SAMPLE_VALUES: usize = 4096;
/// Numbers get a dictionary if each comes this often: delta encoding takes as little room for others.
const NUMBER_REPEATS: usize = 16;
/// Text gets one sooner, since it is longer.
const TEXT_REPEATS: usize = 2;
/// Values of this size are held as they are: encoding them any further takes another copy of each.
const LARGE_BYTES_MIN: usize = 64 << 10;

/// Sets each column's encoding, and whether it has statistics, by its first values in a row group.
pub(crate) fn set_encodings<'a>(
    mut properties: WriterPropertiesBuilder,
    columns: impl Iterator<Item = (&'a FieldRef, &'a ArrayRef)>,
) -> WriterPropertiesBuilder {
    for (field, array) in columns {
        let (path, data_type) = leaf(field);
        let mut array = array.as_ref();
        while let DataType::List(_) = array.data_type() {
            array = array.as_list::<i32>().values();
        }
        let sample = Sample::of(array);
        let is_text = matches!(data_type, DataType::Utf8 | DataType::Binary);
        let is_large = sample.bytes / sample.values.max(1) >= LARGE_BYTES_MIN;
        let (encoding, repeats) = if is_large {
            (Encoding::PLAIN, TEXT_REPEATS)
        } else if is_text {
            (Encoding::DELTA_LENGTH_BYTE_ARRAY, TEXT_REPEATS)
        } else if is_integer(data_type) {
            (Encoding::DELTA_BINARY_PACKED, NUMBER_REPEATS)
        } else {
            (Encoding::PLAIN, TEXT_REPEATS)
        };
        properties = properties
            .set_column_encoding(path.clone(), encoding)
            .set_column_dictionary_enabled(path.clone(), sample.distinct * repeats <= sample.values);
        // Of text in no order, every page has about the same smallest and largest value, which says
        // nothing, and finding them takes as long as encoding does. Of large values they would be copies.
        if is_large || is_text && !sample.sorted {
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    properties
}

/// Where Parquet has a field's values, and their type: those of the field, or of the items of its lists.
pub(crate) fn leaf(field: &Field) -> (ColumnPath, &DataType) {
    let mut path = vec![field.name().clone()];
    let mut data_type = field.data_type();
    while let DataType::List(item) = data_type {
        path.extend(["list".to_owned(), item.name().clone()]);
        data_type = item.data_type();
    }
    (path.into(), data_type)
}

/// Whether Parquet holds the type as a 32-bit or 64-bit integer.
fn is_integer(data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal128(precision, _) => *precision <= 18,
        other => other.is_integer() || matches!(other, DataType::Date32 | DataType::Timestamp(..)),
    }
}

/// What some values of a column are like, NULLs left out.
struct Sample {
    values: usize,
    bytes: usize,
    distinct: usize,
    /// Each is at least the one before, byte by byte.
    sorted: bool,
}

impl Sample {
    fn of(array: &dyn Array) -> Self {
        let array = array.slice(0, array.len().min(SAMPLE_VALUES));
        let valid = (0..array.len()).filter(|index| array.is_valid(*index));
        match (array.data_type(), array.data_type().primitive_width()) {
            (DataType::Utf8, _) => Self::of_values(valid.map(|i| array.as_string::<i32>().value(i).as_bytes())),
            (DataType::Binary, _) => Self::of_values(valid.map(|i| array.as_binary::<i32>().value(i))),
            (_, Some(width)) => {
                let data = array.to_data();
                let bytes = &data.buffers()[0].as_slice()[data.offset() * width..];
                Self::of_values(valid.map(|i| &bytes[i * width..][..width]))
            }
            _ => Self::of_values(std::iter::empty()),
        }
    }

    fn of_values<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let values: Vec<&[u8]> = values.collect();
        Self {
            values: values.len(),
            bytes: values.iter().map(|value| value.len()).sum(),
            sorted: values.is_sorted(),
            distinct: values.into_iter().collect::<HashSet<_, RandomState>>().len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Int64Array, ListArray, RecordBatch, StringArray};
    use arrow::datatypes::Int32Type;
    use parquet::file::properties::WriterProperties;

    use super::*;

    fn encoded(batch: &RecordBatch) -> WriterProperties {
        let columns = batch.schema_ref().fields().iter().zip(batch.columns());
        set_encodings(WriterProperties::builder(), columns).build()
    }

    #[test]
    fn a_column_is_encoded_by_what_is_in_it() {
        let keys: Vec<i64> = (0..10_000).collect();
        let words =
            |of: fn(&i64) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(keys.iter().map(of))) };
        let prices = Decimal128Array::from_iter_values(keys.iter().map(|key| i128::from(key * 7919 % 10_007)));
        let lists = keys.iter().map(|key| Some([Some((key % 9) as i32), None]));
        let batch = RecordBatch::try_from_iter([
            ("key", Arc::new(Int64Array::from(keys.clone())) as ArrayRef),
            (
                "flag",
                Arc::new(
                    keys.iter()
                        .map(|key| (key % 2 > 0).then_some(key % 5))
                        .collect::<Int64Array>(),
                ),
            ),
            ("price", Arc::new(prices.with_precision_and_scale(12, 2).unwrap())),
            ("code", words(|key| format!("{key:06}"))),
            ("name", words(|key| format!("{:x}", key * 7919 % 10_007))),
            ("kind", words(|key| format!("{:x}", key * 7919 % 11))),
            (
                "list",
                Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)),
            ),
        ])
        .unwrap();
        let properties = encoded(&batch);
        let of = |path: &str| {
            let path = ColumnPath::from(path.split('.').map(String::from).collect::<Vec<_>>());
            let has_statistics = properties.statistics_enabled(&path) != EnabledStatistics::None;
            (
                properties.dictionary_enabled(&path),
                properties.encoding(&path).unwrap(),
                has_statistics,
            )
        };
        assert_eq!(of("key"), (false, Encoding::DELTA_BINARY_PACKED, true));
        assert_eq!(of("flag"), (true, Encoding::DELTA_BINARY_PACKED, true));
        assert_eq!(of("price"), (false, Encoding::DELTA_BINARY_PACKED, true));
        assert_eq!(of("code"), (false, Encoding::DELTA_LENGTH_BYTE_ARRAY, true));
        assert_eq!(of("name"), (false, Encoding::DELTA_LENGTH_BYTE_ARRAY, false));
        assert_eq!(of("kind"), (true, Encoding::DELTA_LENGTH_BYTE_ARRAY, false));
        assert_eq!(of("list.list.item"), (true, Encoding::DELTA_BINARY_PACKED, true));
    }

    #[test]
    fn large_values_are_held_as_they_are() {
        let pages = (1..4).map(|page| "page".repeat(page * LARGE_BYTES_MIN));
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(pages));
        let batch = RecordBatch::try_from_iter([("body", column)]).unwrap();
        let properties = encoded(&batch);
        let body = ColumnPath::from("body");
        assert_eq!(properties.encoding(&body), Some(Encoding::PLAIN));
        assert_eq!(properties.statistics_enabled(&body), EnabledStatistics::None);
    }
}
