//! COPY's binary format.
//!
//! As PostgreSQL's documentation of COPY has it ("Binary Format"): a signature, flags and a header
//! extension; then a tuple a row (a 16-bit field count, and for each field a 32-bit length, -1 for
//! NULL, before its bytes); then a trailer, a field count of -1. All integers are big-endian. The
//! fields themselves are what each type's `send` function writes.

mod columns;
mod decode;
mod digest;
mod encode;
mod tuples;

pub use decode::{CopyDecoder, RefusedColumn};
pub use digest::{CopyDigest, Digest};
pub use encode::CopyEncoder;
pub use tuples::BatchSize;

#[cfg(test)]
mod tests;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, and the length of the header extension.
const HEADER_BYTES: usize = SIGNATURE.len() + 8;

/// Days from 1970-01-01, Arrow's first day, to 2000-01-01, PostgreSQL's.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
