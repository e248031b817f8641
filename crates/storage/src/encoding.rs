//! How Parquet holds a column, by a look at its first values.
//!
//! The Parquet library's own choice, a dictionary until it is full, is dear where values seldom repeat:
//! all is hashed for nothing, and what follows is written plain. `lake-bench encodings` prints figures.

use std::collections::HashSet;
use std::str::FromStr;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::datatypes::{DataType, Field, FieldRef};
use parquet::basic::Encoding;
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// Values of a column that are looked at.
const SAMPLE_VALUES: usize = 4096;
/// Numbers that can be held as differences get a dictionary if each comes this often: others take as little room.
const DELTA_REPEATS: usize = 16;
/// Values that would else be held as they are get one sooner.
const PLAIN_REPEATS: usize = 2;
/// Values of this size are held as they are: encoding them any further takes another copy of each.
const LARGE_BYTES_MIN: usize = 64 << 10;

/// Which readers the lake's Parquet files are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compatibility {
    /// Those that know numbers as differences: written faster, and smaller.
    #[default]
    New,
    /// All: plain values and dictionaries.
    Wide,
}

impl FromStr for Compatibility {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "new" => Ok(Self::New),
            "wide" => Ok(Self::Wide),
            _ => Err(format!("{text:?} is no kind of compatibility: write wide or new")),
        }
    }
}

impl Compatibility {
    /// What a column is held as that gets no dictionary, and how often values come in one that gets one.
    ///
    /// Text never has its lengths as differences (DELTA_LENGTH_BYTE_ARRAY), which would be smaller: Spark before
    /// 3.5.6 and 4.0.1 reads other words then, without a sign of it (SPARK-52240).
    fn encoding_of(self, data_type: &DataType) -> (Encoding, usize) {
        match self {
            Self::New if is_integer(data_type) => (Encoding::DELTA_BINARY_PACKED, DELTA_REPEATS),
            _ => (Encoding::PLAIN, PLAIN_REPEATS),
        }
    }
}

/// Sets each column's encoding, and whether it has statistics, by its first values in a row group.
pub(crate) fn set_encodings<'a>(
    mut properties: WriterPropertiesBuilder,
    compatibility: Compatibility,
    columns: impl Iterator<Item = (&'a FieldRef, &'a ArrayRef)>,
) -> WriterPropertiesBuilder {
    for (field, array) in columns {
        let (path, data_type) = leaf(field);
        let mut array = array.as_ref();
        while let DataType::List(_) = array.data_type() {
            array = array.as_list::<i32>().values();
        }
        let sample = Sample::of(array);
        let is_large = sample.bytes / sample.values.max(1) >= LARGE_BYTES_MIN;
        let (encoding, repeats) = match is_large {
            true => (Encoding::PLAIN, PLAIN_REPEATS),
            false => compatibility.encoding_of(data_type),
        };
        properties = properties
            .set_column_encoding(path.clone(), encoding)
            .set_column_dictionary_enabled(path.clone(), sample.distinct * repeats <= sample.values);
        // Of text in no order, every page has about the same smallest and largest value, which says
        // nothing, and finding them takes as long as encoding does. Of large values they would be copies.
        if is_large || is_text(data_type) && !sample.sorted {
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

/// Whether values are bytes of any length.
fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Binary)
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
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Int64Array, ListArray, RecordBatch, StringArray};
    use arrow::datatypes::Int32Type;
    use parquet::file::metadata::ColumnChunkMetaData;
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::Memory;
    use crate::row_groups::RowGroups;

    fn encoded(batch: &RecordBatch, compatibility: Compatibility) -> WriterProperties {
        let columns = batch.schema_ref().fields().iter().zip(batch.columns());
        set_encodings(WriterProperties::builder(), compatibility, columns).build()
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
        let properties = encoded(&batch, Compatibility::New);
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
        assert_eq!(of("code"), (false, Encoding::PLAIN, true));
        assert_eq!(of("name"), (false, Encoding::PLAIN, false));
        assert_eq!(of("kind"), (true, Encoding::PLAIN, false));
        assert_eq!(of("list.list.item"), (true, Encoding::DELTA_BINARY_PACKED, true));
    }

    #[test]
    fn readers_of_parquet_1_get_plain_values_and_dictionaries() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..9000));
        let batch = RecordBatch::try_from_iter([
            ("number", numbers.clone()),
            (
                "twice",
                Arc::new(Int64Array::from_iter_values((0..9000).map(|row| row / 2))),
            ),
            ("text", arrow::compute::cast(&numbers, &DataType::Utf8).unwrap()),
            (
                "day",
                arrow::compute::cast(
                    &arrow::compute::cast(&numbers, &DataType::Int32).unwrap(),
                    &DataType::Date32,
                )
                .unwrap(),
            ),
        ])
        .unwrap();
        let encodings = |compatibility| {
            let properties = WriterProperties::builder();
            let memory = Memory::default();
            let mut file = RowGroups::new(Vec::new(), batch.schema(), properties, compatibility, &memory).unwrap();
            file.write(&batch).unwrap();
            let (metadata, _) = file.finish().unwrap();
            let encodings = |column: &ColumnChunkMetaData| column.encodings().collect::<BTreeSet<_>>();
            metadata
                .row_group(0)
                .columns()
                .iter()
                .map(encodings)
                .collect::<Vec<_>>()
        };
        let plain = [Encoding::PLAIN, Encoding::RLE];
        let dictionary = [Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY];
        let wide = [&plain[..], &dictionary, &plain, &plain].map(|column| column.iter().copied().collect());
        assert_eq!(encodings(Compatibility::Wide), wide);
        assert!(encodings(Compatibility::New)[0].contains(&Encoding::DELTA_BINARY_PACKED));
    }

    #[test]
    fn large_values_are_held_as_they_are() {
        let pages = (1..4).map(|page| "page".repeat(page * LARGE_BYTES_MIN));
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(pages));
        let batch = RecordBatch::try_from_iter([("body", column)]).unwrap();
        let properties = encoded(&batch, Compatibility::New);
        let body = ColumnPath::from("body");
        assert_eq!(properties.encoding(&body), Some(Encoding::PLAIN));
        assert_eq!(properties.statistics_enabled(&body), EnabledStatistics::None);
    }
}
