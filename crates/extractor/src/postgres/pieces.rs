//! The cut of the work into (table, ctid range) pieces.

use super::relation::Table;

/// A piece becomes one Parquet file: of this much heap, about a third of it remains.
const PIECE_BYTES: u64 = 256 << 20;
/// A table below this isn't worth a second connection.
const PIECE_BYTES_MIN: u64 = 32 << 20;
const PAGE_BYTES: u64 = 8192;

/// A part of a table that one worker reads in one COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The table's index.
    pub(super) table: usize,
    /// Its place among the table's pieces.
    pub(super) number: usize,
    /// Pages from here, if the table is cut.
    pub(super) first_page: Option<u64>,
    /// … up to this one, which is not read; the last piece is open, as the table may have grown.
    pub(super) end_page: Option<u64>,
    bytes: u64,
}

impl Piece {
    /// The condition that selects the piece, with its `where`.
    pub(super) fn condition(&self) -> String {
        let bound = |page: u64| format!("'({page},0)'::pg_catalog.tid");
        match (self.first_page, self.end_page) {
            (Some(first), Some(end)) => format!(" where ctid >= {} and ctid < {}", bound(first), bound(end)),
            (Some(first), None) => format!(" where ctid >= {}", bound(first)),
            (None, Some(end)) => format!(" where ctid < {}", bound(end)),
            (None, None) => String::new(),
        }
    }
}

/// Cuts the tables into pieces, the largest first, so that no worker is left with a large one last.
pub(super) fn cut(tables: &[Table], jobs: usize, ctid_ranges: bool) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(tables.len());
    for (table, Table { bytes, heap, .. }) in tables.iter().enumerate() {
        let count = if *heap && ctid_ranges { count(*bytes, jobs) } else { 1 };
        let pages = bytes / PAGE_BYTES;
        for number in 0..count {
            let page = |number: u64| pages * number / count;
            pieces.push(Piece {
                table,
                number: number as usize,
                first_page: (number > 0).then(|| page(number)),
                end_page: (number + 1 < count).then(|| page(number + 1)),
                bytes: bytes / count,
            });
        }
    }
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.bytes));
    pieces
}

fn count(bytes: u64, jobs: usize) -> u64 {
    let for_files = bytes.div_ceil(PIECE_BYTES);
    let for_workers = (jobs as u64).min(bytes / PIECE_BYTES_MIN);
    for_files.max(for_workers).max(1)
}

/// How many connections the pieces are worth.
pub(super) fn workers(pieces: &[Piece], jobs: usize) -> usize {
    const PIECES_A_CONNECTION: usize = 50;
    let bytes: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    let worth = 1 + (bytes / PIECE_BYTES_MIN) as usize + pieces.len() / PIECES_A_CONNECTION;
    worth.min(jobs).min(pieces.len()).max(1)
}
