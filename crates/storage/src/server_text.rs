//! Values as a Postgres server prints them: what a column's earlier days become when its type gives way to text.
//!
//! The forms are those of the types' output functions under `DateStyle = ISO`, `TimeZone = UTC`,
//! `bytea_output = hex`, `lc_monetary = C` and the shortest exact digits of floats (PostgreSQL 12 and later).

use std::fmt::Write as _;

use arrow::array::{Array, AsArray as _, StringArray, StringBuilder};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;

use crate::padding;

/// Whether the values of a type can be written as text.
pub(crate) fn has_text(data_type: &DataType) -> bool {
    use DataType::{Binary, Boolean, Date32, Decimal128, Float32, Float64, Int16, Int32, Int64, List, Timestamp, Utf8};
    match data_type {
        Boolean | Int16 | Int32 | Int64 | Float32 | Float64 | Decimal128(..) | Date32 | Timestamp(..) | Utf8 => true,
        Binary => true,
        List(item) => !matches!(item.data_type(), List(_)) && has_text(item.data_type()),
        _ => false,
    }
}

/// A column's values as text.
///
/// A boolean by itself is `true` or `false`, as its cast to text is; in an array it is `t` or `f`.
pub(crate) fn text(values: &dyn Array, field: &Field) -> Result<StringArray, ArrowError> {
    /// As `lake_postgres::METADATA_TYPE` and `lake_postgres::METADATA_BASE_TYPE`.
    const DECLARED: [&str; 2] = ["postgres.base_type", "postgres.type"];
    let declared = DECLARED.iter().find_map(|key| field.metadata().get(*key));
    let declared = declared.map_or("", |declared| declared.trim_end_matches("[]"));
    let is_money = declared == "money";
    let characters_min = padding::length(declared).unwrap_or_default();
    let mut builder = StringBuilder::with_capacity(values.len(), values.len() * 8);
    let mut cell = String::new();
    for row in 0..values.len() {
        if values.is_null(row) {
            builder.append_null();
            continue;
        }
        cell.clear();
        match values.data_type() {
            DataType::Boolean => {
                cell += if values.as_boolean().value(row) {
                    "true"
                } else {
                    "false"
                }
            }
            DataType::List(_) => array(
                &*values.as_list::<i32>().value(row),
                is_money,
                characters_min,
                &mut cell,
            )?,
            _ => scalar(values, row, is_money, &mut cell)?,
        }
        builder.append_value(&cell);
    }
    Ok(builder.finish())
}

/// As `array_out` does (`src/backend/utils/adt/arrayfuncs.c`).
fn array(elements: &dyn Array, is_money: bool, characters_min: usize, out: &mut String) -> Result<(), ArrowError> {
    let is_special = |c: char| {
        matches!(
            c,
            '"' | '\\' | '{' | '}' | ',' | ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c'
        )
    };
    let mut element = String::new();
    out.push('{');
    for index in 0..elements.len() {
        if index > 0 {
            out.push(',');
        }
        if elements.is_null(index) {
            out.push_str("NULL");
            continue;
        }
        element.clear();
        scalar(elements, index, is_money, &mut element)?;
        let padded = characters_min.saturating_sub(element.chars().count());
        element.extend(std::iter::repeat_n(' ', padded));
        if !element.is_empty() && !element.eq_ignore_ascii_case("null") && !element.contains(is_special) {
            out.push_str(&element);
            continue;
        }
        out.push('"');
        for c in element.chars() {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push('}');
    Ok(())
}

fn scalar(values: &dyn Array, row: usize, is_money: bool, out: &mut String) -> Result<(), ArrowError> {
    let written = match values.data_type() {
        DataType::Boolean => out.write_str(if values.as_boolean().value(row) { "t" } else { "f" }),
        DataType::Int16 => write!(out, "{}", values.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => write!(out, "{}", values.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => write!(out, "{}", values.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => {
            let value = values.as_primitive::<Float32Type>().value(row);
            float(value.into(), &format!("{value:e}"), 6, out)
        }
        DataType::Float64 => {
            let value = values.as_primitive::<Float64Type>().value(row);
            float(value, &format!("{value:e}"), 15, out)
        }
        DataType::Decimal128(..) => {
            let decimals = values.as_primitive::<Decimal128Type>();
            match is_money {
                true => money(decimals.value(row), out),
                false => out.write_str(&decimals.value_as_string(row)),
            }
        }
        DataType::Utf8 => out.write_str(values.as_string::<i32>().value(row)),
        DataType::Binary => {
            let bytes = values.as_binary::<i32>().value(row);
            out.write_str("\\x")
                .and_then(|()| bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")))
        }
        DataType::Date32 => {
            let (date, era) = date(values.as_primitive::<Date32Type>().value(row).into());
            write!(out, "{date}{era}")
        }
        DataType::Timestamp(_, zone) => {
            const MICROS: i64 = 1_000_000;
            const DAY: i64 = 86_400 * MICROS;
            let micros = values.as_primitive::<TimestampMicrosecondType>().value(row);
            let (date, era) = date(micros.div_euclid(DAY));
            let (seconds, fraction) = (micros.rem_euclid(DAY) / MICROS, micros.rem_euclid(MICROS));
            let fraction = match fraction {
                0 => String::new(),
                fraction => format!(".{fraction:06}").trim_end_matches('0').to_owned(),
            };
            let zone = if zone.is_some() { "+00" } else { "" };
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            write!(out, "{date} {hour:02}:{minute:02}:{second:02}{fraction}{zone}{era}")
        }
        other => return Err(ArrowError::CastError(format!("{other} has no text"))),
    };
    written.map_err(|error| ArrowError::CastError(error.to_string()))
}

/// A float from its shortest exact digits in scientific form: as `printf` would with `%g` of so many digits
/// (`src/common/d2s.c`).
fn float(value: f64, scientific: &str, digits_max: i32, out: &mut String) -> std::fmt::Result {
    if value.is_nan() {
        return out.write_str("NaN");
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_infinite() {
        return write!(out, "{sign}Infinity");
    }
    let (mantissa, exponent) = scientific
        .trim_start_matches('-')
        .split_once('e')
        .unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default(); // Rust has written it
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if exponent < -4 || exponent >= digits_max {
        let direction = if exponent < 0 { '-' } else { '+' };
        return write!(out, "{sign}{mantissa}e{direction}{:02}", exponent.abs());
    }
    let Ok(whole) = usize::try_from(exponent) else {
        let zeros = "0".repeat(usize::try_from(-1 - exponent).unwrap_or_default());
        return write!(out, "{sign}0.{zeros}{digits}");
    };
    match digits.len().checked_sub(whole + 1) {
        Some(0) => write!(out, "{sign}{digits}"),
        Some(_) => write!(out, "{sign}{}.{}", &digits[..=whole], &digits[whole + 1..]),
        None => write!(out, "{sign}{digits}{}", "0".repeat(whole + 1 - digits.len())),
    }
}

/// As `cash_out` does in the locale C.
fn money(cents: i128, out: &mut String) -> std::fmt::Result {
    let sign = if cents < 0 { "-" } else { "" };
    let (dollars, cents) = ((cents.unsigned_abs() / 100).to_string(), cents.unsigned_abs() % 100);
    write!(out, "{sign}$")?;
    for (place, digit) in dollars.char_indices() {
        if place > 0 && (dollars.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    write!(out, ".{cents:02}")
}

/// A day since 1970-01-01 in the proleptic Gregorian calendar, and its era if that has to be said.
fn date(days: i64) -> (String, &'static str) {
    // Of 400 years, which begin in March: a leap day is their last.
    const ERA_DAYS: i64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day + 2) / 153;
    let month = (march_month + 2) % 12 + 1;
    let day = day - (153 * march_month + 2) / 5 + 1;
    let year = year + era * 400 + i64::from(month <= 2);
    match year {
        1.. => (format!("{year:04}-{month:02}-{day:02}"), ""),
        _ => (format!("{:04}-{month:02}-{day:02}", 1 - year), " BC"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_calendars() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (11_016, "2000-02-29"),
            (-719_162, "0001-01-01"),
            (-719_163, "0001-12-31 BC"),
            (-2_440_588, "4714-11-24 BC"),
            (2_145_042_905, "5874897-12-31"),
        ] {
            let (date, era) = date(days);
            assert_eq!(format!("{date}{era}"), expected);
        }
    }

    #[test]
    fn floats_have_the_fewest_digits_that_say_them() {
        let double = |value: f64| {
            let mut out = String::new();
            float(value, &format!("{value:e}"), 15, &mut out).unwrap();
            out
        };
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (100_000.0, "100000"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e15, "1e+15"),
            (1.5e300, "1.5e+300"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (5e-324, "5e-324"),
            (-12.25, "-12.25"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(double(value), expected);
        }
    }
}
