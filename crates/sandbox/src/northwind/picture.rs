//! Small pictures for the `bytea` columns.

use super::dice::Dice;

const SIDE: usize = 8;
const HEADERS_BYTES: usize = 14 + 40;
const PALETTE_BYTES: usize = 2 * 4;

/// A two-coloured bitmap of 8 × 8 pixels, mirrored, as a BMP file of 94 bytes.
pub(super) fn bitmap(dice: &mut Dice) -> Vec<u8> {
    // A row of pixels is padded to four bytes.
    let pixels_bytes = SIDE * 4;
    let offset = (HEADERS_BYTES + PALETTE_BYTES) as u32;
    let mut file = Vec::with_capacity(HEADERS_BYTES + PALETTE_BYTES + pixels_bytes);
    let long = |file: &mut Vec<u8>, number: u32| file.extend_from_slice(&number.to_le_bytes());

    file.extend_from_slice(b"BM");
    long(&mut file, offset + pixels_bytes as u32);
    long(&mut file, 0);
    long(&mut file, offset);

    long(&mut file, 40);
    long(&mut file, SIDE as u32);
    long(&mut file, SIDE as u32);
    file.extend_from_slice(&[1, 0, 1, 0]); // one plane, one bit a pixel
    for number in [0, pixels_bytes as u32, 2835, 2835, 2, 2] {
        long(&mut file, number);
    }

    file.extend_from_slice(&[255, 255, 255, 0]);
    file.extend((0..3).map(|_| dice.below(160) as u8));
    file.push(0);

    for _ in 0..SIDE {
        let half = dice.below(16) as u8;
        file.extend_from_slice(&[half | half.reverse_bits(), 0, 0, 0]);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::northwind::dice::Stream;

    #[test]
    fn the_file_is_as_long_as_it_says() {
        let file = bitmap(&mut Dice::new(42, Stream::Employee, 0));
        assert_eq!(file[2..6], (file.len() as u32).to_le_bytes());
        assert_eq!(file.len(), 94);
        for row in file[62..].chunks(4) {
            assert_eq!(row[0], row[0].reverse_bits(), "not mirrored");
        }
    }
}
