//! `numeric`'s binary form and 128-bit decimals.
//!
//! The format is `numeric_send`'s in PostgreSQL's `src/backend/utils/adt/numeric.c`: four 16-bit
//! words (digit count, weight, sign, display scale), then base-10000 digits, the first of which
//! counts 10000^weight.

const NEGATIVE: u16 = 0x4000;
const POSITIVE: u16 = 0x0000;

const fn powers_of_ten() -> [i128; 39] {
    let mut powers = [1i128; 39];
    let mut i = 1;
    while i < 39 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
}
pub(crate) const POWERS_OF_TEN: [i128; 39] = powers_of_ten();

/// Reads a `numeric` as an integer scaled by 10^`scale`.
///
/// `None` for NaN and the infinities, for digits beyond the scale, for values of more than
/// `precision` digits (at most 38), and for bytes that are no numeric.
pub(crate) fn decode(raw: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (header, digits) = raw.split_first_chunk::<8>()?;
    let word = |i: usize| u16::from_be_bytes([header[2 * i], header[2 * i + 1]]);
    let (count, weight, sign) = (word(0), word(1) as i16, word(2));
    if sign != POSITIVE && sign != NEGATIVE || digits.len() != 2 * usize::from(count) {
        return None;
    }
    let digits = digits
        .chunks_exact(2)
        .map(|digit| u16::from_be_bytes([digit[0], digit[1]]));
    // The decimal places between the unit of the last digit and the unit of the result.
    let places = 4 * (i32::from(weight) + 1 - i32::from(count)) + i32::from(scale);
    let value = if count <= 4 && (-3..=22).contains(&places) {
        decode_few(digits, places)?
    } else {
        decode_many(digits, 4 * i32::from(weight) + i32::from(scale))?
    };
    // Arrow would take a longer value, and Parquet cut its bytes to those of the type.
    if value >= *POWERS_OF_TEN.get(usize::from(precision))? {
        return None;
    }
    Some(if sign == NEGATIVE { -value } else { value })
}

/// Adds up to four digits, which fit 64 bits, before the last of them is shifted by `places`: from 3 to
/// the right to 22 to the left.
#[inline]
fn decode_few(digits: impl Iterator<Item = u16>, places: i32) -> Option<i128> {
    let mut value: u64 = 0;
    for digit in digits {
        if digit > 9999 {
            return None;
        }
        value = value * 10_000 + u64::from(digit);
    }
    // The divisors are constants: no division is done.
    match places {
        -3 if value.is_multiple_of(1000) => Some((value / 1000).into()),
        -2 if value.is_multiple_of(100) => Some((value / 100).into()),
        -1 if value.is_multiple_of(10) => Some((value / 10).into()),
        0.. => Some(i128::from(value) * POWERS_OF_TEN[places as usize]),
        _ => None,
    }
}

/// Adds digits one after the other; `places` are those between the first one's unit and the result's.
fn decode_many(digits: impl Iterator<Item = u16>, mut places: i32) -> Option<i128> {
    let mut value: i128 = 0;
    for digit in digits {
        let digit = i128::from(digit);
        if digit > 9999 {
            return None;
        }
        let term = if places >= 0 {
            digit.checked_mul(
                *POWERS_OF_TEN
                    .get(places as usize)
                    .or(if digit == 0 { Some(&0) } else { None })?,
            )?
        } else if places > -4 {
            let unit = POWERS_OF_TEN[places.unsigned_abs() as usize];
            if digit % unit != 0 {
                return None;
            }
            digit / unit
        } else if digit == 0 {
            0
        } else {
            return None;
        };
        value = value.checked_add(term)?;
        places -= 4;
    }
    Some(value)
}

/// Appends an integer scaled by 10^`scale` as a `numeric` that displays `scale` decimal places.
pub(crate) fn encode(value: i128, scale: u8, out: &mut Vec<u8>) {
    // Base-10000 digits are aligned to the decimal point: the last one is made whole.
    let fraction_digits = usize::from(scale).div_ceil(4);
    let padding = fraction_digits * 4 - usize::from(scale);
    let magnitude = value.unsigned_abs();
    let few = u64::try_from(magnitude).ok();
    let mut digits = [0u16; 12]; // 39 decimal digits and three of padding; the last one first
    let count = match few.and_then(|value| value.checked_mul([1, 10, 100, 1000][padding])) {
        Some(few) => split_few(few, &mut digits),
        None => split_many(magnitude, padding as u32, &mut digits),
    };
    let weight = count as i32 - fraction_digits as i32 - 1;
    let lowest = digits[..count].iter().take_while(|digit| **digit == 0).count();
    let highest_zeros = digits[lowest..count]
        .iter()
        .rev()
        .take_while(|digit| **digit == 0)
        .count();
    let significant = &digits[lowest..count - highest_zeros];
    let weight = if significant.is_empty() {
        0
    } else {
        weight - highest_zeros as i32
    };
    let sign = if value < 0 { NEGATIVE } else { POSITIVE };
    let mut sent = [0; 32];
    let header = [significant.len() as u16, weight as u16, sign, u16::from(scale)];
    let words = header.iter().chain(significant.iter().rev());
    for (place, word) in sent.chunks_exact_mut(2).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(&sent[..8 + 2 * significant.len()]);
}

/// Splits a number into base-10000 digits and returns how many there are.
#[inline]
fn split_few(mut rest: u64, digits: &mut [u16; 12]) -> usize {
    let mut count = 0;
    while rest > 0 {
        digits[count] = (rest % 10_000) as u16;
        rest /= 10_000;
        count += 1;
    }
    count
}

/// The same of a number whose last digit is to be shifted up by so many decimal digits.
fn split_many(mut rest: u128, padding: u32, digits: &mut [u16; 12]) -> usize {
    let mut count = 0;
    if padding > 0 {
        let low = 10u128.pow(4 - padding);
        digits[count] = (rest % low) as u16 * 10u16.pow(padding);
        rest /= low;
        count += 1;
    }
    while rest > 0 {
        digits[count] = (rest % 10_000) as u16;
        rest /= 10_000;
        count += 1;
    }
    count
}

/// Shows what a `numeric` holds that a decimal can't, for an error message.
pub(crate) fn describe(raw: &[u8]) -> String {
    match raw.get(4..6) {
        Some([0xc0, 0x00]) => "NaN".into(),
        Some([0xd0, 0x00]) => "Infinity".into(),
        Some([0xf0, 0x00]) => "-Infinity".into(),
        _ => "of more digits than the type declares".into(),
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    fn round_trip(value: i128, scale: u8) -> Option<i128> {
        let mut raw = Vec::new();
        encode(value, scale, &mut raw);
        decode(&raw, 38, scale)
    }

    /// The way of few digits is one of speed only.
    #[test]
    fn few_digits_are_added_as_many_are() {
        for digits in [
            &[][..],
            &[0],
            &[7],
            &[1200],
            &[9999; 4],
            &[1, 0, 0, 3000],
            &[0, 0, 5, 10_000],
        ] {
            for places in -3..=22 {
                assert_eq!(
                    decode_few(digits.iter().copied(), places),
                    decode_many(digits.iter().copied(), places + 4 * (digits.len() as i32 - 1)),
                    "{digits:?} at {places}"
                );
            }
        }
    }

    #[test]
    fn values_come_back_at_every_scale() {
        let seed = 20_260_131;
        let mut random = StdRng::seed_from_u64(seed);
        let max = 10i128.pow(38) - 1;
        for scale in 0..=38 {
            for edge in [0, 1, -1, 9, 10, 9999, 10_000, -10_000, max, -max] {
                assert_eq!(round_trip(edge, scale), Some(edge), "{edge} at scale {scale}");
            }
            for _ in 0..500 {
                let value = random.random_range(-max..=max) / POWERS_OF_TEN[random.random_range(0..38)];
                assert_eq!(
                    round_trip(value, scale),
                    Some(value),
                    "{value} at scale {scale}, seed {seed}"
                );
            }
        }
    }

    #[test]
    fn few_digits_are_split_as_many_are() {
        for value in [0, 1, 9999, 10_000, 120_000_000, u64::MAX / 1000] {
            for padding in 0..4 {
                let (mut few, mut many) = ([0; 12], [0; 12]);
                let count = split_few(value * 10u64.pow(padding), &mut few);
                let count_of_many = split_many(value.into(), padding, &mut many);
                assert_eq!(few, many, "{value}");
                // Zeros before the first digit are dropped later.
                assert!(few[count..count_of_many.max(count)].iter().all(|digit| *digit == 0));
            }
        }
    }

    #[test]
    fn digits_are_the_servers() {
        // select numeric_send(1234567.891) = 0003 0001 0000 0003 007b 11d7 22ce
        let mut raw = Vec::new();
        encode(1_234_567_891, 3, &mut raw);
        assert_eq!(&raw[..], b"\0\x03\0\x01\0\0\0\x03\0\x7b\x11\xd7\x22\xce");
        // select numeric_send(0.00)
        let mut raw = Vec::new();
        encode(0, 2, &mut raw);
        assert_eq!(&raw[..], b"\0\0\0\0\0\0\0\x02");
    }

    #[test]
    fn refuses_what_a_decimal_cannot_hold() {
        assert_eq!(decode(b"\0\0\0\0\xc0\0\0\0", 38, 2), None); // NaN
        assert_eq!(decode(b"\0\x01\xff\xff\0\0\0\x03\x03\xe9", 38, 2), None); // 0.1001 at two places
        assert_eq!(decode(b"\0\x01\0\x63\0\0\0\0\0\x01", 38, 2), None); // 10^396
        assert_eq!(decode(b"\0\x02\0\0\0\0\0\0\0\x01", 38, 2), None); // a digit is missing
        assert_eq!(decode(b"", 38, 2), None);
        let mut raw = Vec::new();
        encode(-1_000, 2, &mut raw); // -10.00
        assert_eq!((decode(&raw, 4, 2), decode(&raw, 3, 2)), (Some(-1_000), None));
    }
}
