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
    /// The conditions that select the piece of its table, with their `where`.
    pub(super) fn condition(&self, table: &Table) -> String {
        let bound = |operator: &str, page: u64| format!("ctid {operator} '({page},0)'::pg_catalog.tid");
        let first = self.first_page.map(|page| bound(">=", page));
        let end = self.end_page.map(|page| bound("<", page));
        let conditions: Vec<String> = [table.condition.clone(), first, end].into_iter().flatten().collect();
        match conditions.is_empty() {
            true => String::new(),
            false => format!(" where {}", conditions.join(" and ")),
        }
    }
}

/// Cuts the tables into pieces, the largest first, so that no worker is left with a large one last.
pub(super) fn cut(tables: &[Table], jobs: usize, ctid_ranges: bool) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(tables.len());
    for (table, of) in tables.iter().enumerate() {
        let sizes = if of.heap && ctid_ranges {
            sizes(of.bytes, jobs)
        } else {
            vec![of.bytes]
        };
        // A range of pages is one of each heap.
        let page = |bytes: u64| {
            let of_largest = u128::from(bytes) * u128::from(of.heap_bytes) / u128::from(of.bytes.max(1));
            of_largest as u64 / PAGE_BYTES
        };
        let mut first = 0;
        for (number, &bytes) in sizes.iter().enumerate() {
            let end = first + bytes;
            pieces.push(Piece {
                table,
                number,
                first_page: (number > 0).then(|| page(first)),
                end_page: (number + 1 < sizes.len()).then(|| page(end)),
                bytes,
            });
            first = end;
        }
    }
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.bytes));
    pieces
}

/// The pieces of a table of so many bytes: smaller and smaller ones, so that the workers, who are never
/// equally fast, end at about the same time.
fn sizes(bytes: u64, jobs: usize) -> Vec<u64> {
    let mut sizes = Vec::new();
    let mut left = bytes;
    while left >= 2 * PIECE_BYTES_MIN {
        let share = if jobs > 1 { left / (2 * jobs as u64) } else { left };
        let size = share.clamp(PIECE_BYTES_MIN, PIECE_BYTES);
        sizes.push(size);
        left -= size;
    }
    if left > 0 || sizes.is_empty() {
        sizes.push(left);
    }
    sizes
}

/// How many connections the pieces are worth.
pub(super) fn workers(pieces: &[Piece], jobs: usize) -> usize {
    const PIECES_A_CONNECTION: usize = 50;
    let bytes: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    let worth = 1 + (bytes / PIECE_BYTES_MIN) as usize + pieces.len() / PIECES_A_CONNECTION;
    worth.min(jobs).min(pieces.len()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_as_large_as_files_may_be_and_get_smaller() {
        let whole = |sizes: &[u64]| sizes.iter().sum::<u64>();
        assert_eq!(sizes(0, 4), [0]);
        assert_eq!(sizes(63 << 20, 4), [63 << 20]);
        assert_eq!(sizes(600 << 20, 1), [256 << 20, 256 << 20, 88 << 20]);
        for (bytes, jobs) in [(64 << 20, 2), (880 << 20, 2), (880 << 20, 16), (100 << 30, 4)] {
            let sizes = sizes(bytes, jobs);
            assert_eq!(whole(&sizes), bytes);
            assert!(sizes.iter().all(|size| *size <= PIECE_BYTES));
            assert!(sizes[..sizes.len() - 1].is_sorted_by(|a, b| a >= b));
            assert!(sizes.last().is_some_and(|size| *size < 2 * PIECE_BYTES_MIN));
            assert!(sizes[sizes.len() - 2] < 2 * PIECE_BYTES_MIN, "{sizes:?}");
        }
    }
}
