//! A column of a batch as text: as psql shows values, or as JSON.

use std::borrow::Cow;
use std::io::Write as _;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray as _, BooleanArray, GenericBinaryArray, MapArray, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, Field,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type, i256,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::array_text;
use super::calendar::{self, Look};
use crate::postgres::{char_length, declared};
use crate::{Error, Result};

/// A column, ready to be written cell by cell.
///
/// As text: booleans are `true` and `false`, floats the shortest that reads back as the same value,
/// binary `\x` and hexadecimal digits, lists PostgreSQL's array text, structs and maps JSON, and all
/// else as psql shows it. As JSON: numbers are numbers with all their digits, the floats that JSON
/// has not are the strings `NaN`, `Infinity` and `-Infinity`, dates and times are ISO 8601 strings,
/// lists and structs are JSON's own.
pub(super) struct Column<'a> {
    name: &'a str,
    array: &'a dyn Array,
    values: Values<'a>,
    /// Texts are padded to so many characters: those of `char(n)`, which the lake holds without their blanks.
    characters_min: usize,
}

/// Appends the value of a row.
type WriteCell<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

enum Values<'a> {
    Null,
    Boolean(&'a BooleanArray),
    Integer(WriteCell<'a>),
    Decimal(Box<dyn Fn(usize) -> String + 'a>),
    Float32(Box<dyn Fn(usize) -> f32 + 'a>),
    Float64(&'a [f64]),
    String(&'a StringArray),
    Binary(&'a GenericBinaryArray<i32>),
    Date(&'a [i32]),
    Timestamp {
        counts: &'a [i64],
        unit: TimeUnit,
        utc: bool,
    },
    List {
        range: Box<dyn Fn(usize) -> std::ops::Range<usize> + 'a>,
        items: Box<Column<'a>>,
    },
    Struct(Vec<Column<'a>>),
    Map {
        map: &'a MapArray,
        keys: Box<Column<'a>>,
        values: Box<Column<'a>>,
    },
    Other(ArrayFormatter<'a>),
}

/// Columns in the types that [`Column`] knows: strings, binaries and their kin in one layout.
pub(super) fn prepare(batch: &arrow::array::RecordBatch) -> Result<Vec<ArrayRef>> {
    let prepare = |(field, array): (&arrow::datatypes::FieldRef, &ArrayRef)| {
        let plain = match array.data_type() {
            DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
            DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
            DataType::Dictionary(_, value) => value.as_ref().clone(),
            _ => return Ok(array.clone()),
        };
        cast(array, &plain).map_err(|source| value_error(field.name(), source))
    };
    batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(prepare)
        .collect()
}

/// The columns of a batch whose arrays are [`prepare`]d.
pub(super) fn columns<'a>(schema: &'a Schema, arrays: &'a [ArrayRef]) -> Result<Vec<Column<'a>>> {
    let fields = schema.fields().iter().zip(arrays);
    fields.map(|(field, array)| Column::new(field, array)).collect()
}

impl<'a> Column<'a> {
    fn new(field: &'a Field, array: &'a dyn Array) -> Result<Self> {
        let length = declared(field).and_then(char_length);
        Self::padded(field.name(), array, length.unwrap_or_default())
    }

    fn padded(name: &'a str, array: &'a dyn Array, characters_min: usize) -> Result<Self> {
        Ok(Self {
            name,
            array,
            values: Values::new(name, array, characters_min)?,
            characters_min,
        })
    }

    fn string(&self, text: &'a str) -> Cow<'a, str> {
        match self.characters_min {
            0 => text.into(),
            length => format!("{text:<length$}").into(),
        }
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row) || matches!(self.values, Values::Null)
    }

    /// Appends a value that is not NULL as text.
    pub(super) fn text(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        match &self.values {
            Values::Null => {}
            Values::Boolean(array) => push(out, format_args!("{}", array.value(row))),
            Values::Integer(write) => write(row, out),
            Values::Decimal(format) => out.extend_from_slice(format(row).as_bytes()),
            Values::Float32(value) => float(f64::from(value(row)), &value(row), out),
            Values::Float64(values) => float(values[row], &values[row], out),
            Values::String(array) => out.extend_from_slice(self.string(array.value(row)).as_bytes()),
            Values::Binary(array) => hex(array.value(row), out),
            Values::Date(days) => calendar::date(days[row].into(), Look::Sql, out),
            Values::Timestamp { counts, unit, utc } => calendar::timestamp(counts[row], *unit, *utc, Look::Sql, out),
            Values::List { range, items } => {
                out.push(b'{');
                let mut element = Vec::new();
                for (place, item) in range(row).enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    if items.is_null(item) {
                        out.extend_from_slice(b"NULL");
                    } else if matches!(items.values, Values::List { .. }) {
                        items.text(item, out)?;
                    } else {
                        element.clear();
                        items.text(item, &mut element)?;
                        array_text::push_element(&element, out);
                    }
                }
                out.push(b'}');
            }
            Values::Struct(_) | Values::Map { .. } => self.json(row, out)?,
            Values::Other(formatter) => {
                let text = formatter.value(row).try_to_string();
                out.extend_from_slice(text.map_err(|source| value_error(self.name, source))?.as_bytes());
            }
        }
        Ok(())
    }

    /// Appends a value, which may be NULL, as JSON.
    pub(super) fn json(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match &self.values {
            Values::Boolean(_) | Values::Integer(_) | Values::Decimal(_) => self.text(row, out)?,
            Values::Float32(value) if value(row).is_finite() => self.text(row, out)?,
            Values::Float64(values) if values[row].is_finite() => self.text(row, out)?,
            Values::String(array) => json_string(&self.string(array.value(row)), out),
            Values::Date(days) => quoted(out, |out| calendar::date(days[row].into(), Look::Iso, out)),
            Values::Timestamp { counts, unit, utc } => quoted(out, |out| {
                calendar::timestamp(counts[row], *unit, *utc, Look::Iso, out);
            }),
            Values::List { range, items } => {
                out.push(b'[');
                for (place, item) in range(row).enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    items.json(item, out)?;
                }
                out.push(b']');
            }
            Values::Struct(fields) => {
                out.push(b'{');
                for (place, field) in fields.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    json_string(field.name, out);
                    out.push(b':');
                    field.json(row, out)?;
                }
                out.push(b'}');
            }
            Values::Map { map, keys, values } => {
                out.push(b'{');
                let offsets = map.value_offsets();
                for (place, entry) in (offsets[row] as usize..offsets[row + 1] as usize).enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    keys.json_text(entry, out)?;
                    out.push(b':');
                    values.json(entry, out)?;
                }
                out.push(b'}');
            }
            Values::Null | Values::Float32(_) | Values::Float64(_) | Values::Binary(_) | Values::Other(_) => {
                self.json_text(row, out)?;
            }
        }
        Ok(())
    }

    /// Appends the value's text as a JSON string.
    fn json_text(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let mut text = Vec::new();
        self.text(row, &mut text)?;
        json_string(&String::from_utf8_lossy(&text), out);
        Ok(())
    }
}

impl<'a> Values<'a> {
    /// `characters_min` is that of a list's items.
    fn new(name: &'a str, array: &'a dyn Array, characters_min: usize) -> Result<Self> {
        let items = |field: &'a Field, values: &'a dyn Array| {
            Column::padded(field.name(), values, characters_min).map(Box::new)
        };
        Ok(match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int8 => integer::<Int8Type>(array),
            DataType::Int16 => integer::<Int16Type>(array),
            DataType::Int32 => integer::<Int32Type>(array),
            DataType::Int64 => integer::<Int64Type>(array),
            DataType::UInt8 => integer::<UInt8Type>(array),
            DataType::UInt16 => integer::<UInt16Type>(array),
            DataType::UInt32 => integer::<UInt32Type>(array),
            DataType::UInt64 => integer::<UInt64Type>(array),
            DataType::Decimal32(p, s) => decimal::<Decimal32Type>(array, *p, *s),
            DataType::Decimal64(p, s) => decimal::<Decimal64Type>(array, *p, *s),
            DataType::Decimal128(p, s) => decimal::<Decimal128Type>(array, *p, *s),
            DataType::Decimal256(p, s) => {
                let values = array.as_primitive::<Decimal256Type>().values();
                Self::Decimal(Box::new(|row| quotient_text(values[row], *p, *s)))
            }
            DataType::Float16 => {
                let values = array.as_primitive::<Float16Type>().values();
                Self::Float32(Box::new(|row| values[row].to_f32()))
            }
            DataType::Float32 => {
                let values = array.as_primitive::<Float32Type>().values();
                Self::Float32(Box::new(|row| values[row]))
            }
            DataType::Float64 => Self::Float64(array.as_primitive::<Float64Type>().values()),
            DataType::Utf8 => Self::String(array.as_string()),
            DataType::Binary => Self::Binary(array.as_binary()),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>().values()),
            DataType::Timestamp(unit, zone) if zone.as_deref().is_none_or(is_utc) => Self::Timestamp {
                counts: match unit {
                    TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                    TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                    TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                    TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
                },
                unit: *unit,
                utc: zone.is_some(),
            },
            DataType::List(field) => {
                let list = array.as_list::<i32>();
                let offsets = list.value_offsets();
                Self::List {
                    range: Box::new(|row| offsets[row] as usize..offsets[row + 1] as usize),
                    items: items(field, list.values())?,
                }
            }
            DataType::LargeList(field) => {
                let list = array.as_list::<i64>();
                let offsets = list.value_offsets();
                Self::List {
                    range: Box::new(|row| offsets[row] as usize..offsets[row + 1] as usize),
                    items: items(field, list.values())?,
                }
            }
            DataType::FixedSizeList(field, size) => {
                let size = *size as usize;
                Self::List {
                    range: Box::new(move |row| row * size..(row + 1) * size),
                    items: items(field, array.as_fixed_size_list().values())?,
                }
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().zip(array.as_struct().columns());
                Self::Struct(
                    columns
                        .map(|(field, column)| Column::new(field, column))
                        .collect::<Result<_>>()?,
                )
            }
            DataType::Map(entries, _) => {
                let map = array.as_map();
                let DataType::Struct(fields) = entries.data_type() else {
                    return Self::other(name, array);
                };
                Self::Map {
                    map,
                    keys: Box::new(Column::new(&fields[0], map.keys())?),
                    values: Box::new(Column::new(&fields[1], map.values())?),
                }
            }
            _ => return Self::other(name, array),
        })
    }

    fn other(name: &str, array: &'a dyn Array) -> Result<Self> {
        // Errors as errors: by default they would become the cell's text.
        const OPTIONS: FormatOptions<'static> = FormatOptions::new()
            .with_display_error(false)
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"))
            .with_date_format(Some("%Y-%m-%d"))
            .with_datetime_format(Some("%Y-%m-%d"));
        let formatter = ArrayFormatter::try_new(array, &OPTIONS);
        Ok(Self::Other(formatter.map_err(|source| value_error(name, source))?))
    }
}

/// Whether a column of the type is aligned to the right.
pub(super) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// Appends `text` as a JSON string.
pub(super) fn json_string(text: &str, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(&mut *out, text); // a string into a Vec can't fail
}

fn integer<T: ArrowPrimitiveType>(array: &dyn Array) -> Values<'_>
where
    T::Native: std::fmt::Display,
{
    let values = array.as_primitive::<T>().values();
    Values::Integer(Box::new(|row, out| push(out, format_args!("{}", values[row]))))
}

fn decimal<T: DecimalType>(array: &dyn Array, precision: u8, scale: i8) -> Values<'_> {
    let values = array.as_primitive::<T>().values();
    Values::Decimal(Box::new(move |row| T::format_decimal(values[row], precision, scale)))
}

/// A numeric without the zeros at its end: its column has more places than the value.
pub(crate) fn quotient_text(value: i256, precision: u8, scale: i8) -> String {
    let text = Decimal256Type::format_decimal(value, precision, scale);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// The shortest digits that read back as the same value; `value` is `wide` in its own width.
fn float(wide: f64, value: &(impl std::fmt::Display + std::fmt::LowerExp), out: &mut Vec<u8>) {
    let size = wide.abs();
    if wide.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if wide.is_infinite() {
        out.extend_from_slice(if wide > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else if size != 0.0 && !(1e-5..1e16).contains(&size) {
        push(out, format_args!("{value:e}"));
    } else {
        push(out, format_args!("{value}"));
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\x");
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text); // writing to a Vec can't fail
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "+00:00" | "+00" | "Z" | "Etc/UTC")
}

fn value_error(column: &str, source: ArrowError) -> Error {
    Error::Value {
        column: column.to_owned(),
        source,
    }
}
