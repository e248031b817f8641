//! The memory that a command may take, and each worker's part of it.
//!
//! ```text
//!  all of it ─┬─ the process: code, runtime, catalogue, connections
//!             └─ three quarters of the rest for the workers (the last is what an allocator holds back)
//!                   each ─┬─ rows off the wire, or to it       small, or one row
//!                         ├─ the batch that they become, or come from     1/16, as much again as it grows
//!                         ├─ the row group that batches become            1/2, less as it is encoded
//!                         └─ the pages and dictionaries of all columns    when it reads, and when it writes
//!                                                                         if they take 1/2 at most; or of one
//! ```
//!
//! A row larger than a batch takes several times its size on its way, whatever the part: see
//! [`Memory::alone`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a command takes for itself, before the first row.
const PROCESS_BYTES: u64 = 64 << 20;
/// A worker with less writes row groups that are slow to read.
const WORKER_BYTES_MIN: usize = 12 << 20;
/// Beyond this size, a batch or a row group is no faster to write or to read.
const BATCH_BYTES_MAX: usize = 8 << 20;
const ROW_GROUP_BYTES_MAX: usize = 32 << 20;

/// A number of bytes as a user writes it: `256MB`, `1.5 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemorySize(u64);

impl MemorySize {
    /// The least that a command gets by with.
    pub const MIN: Self = Self(128_000_000);
    /// What an extract and a load take if nothing else is said.
    pub const DEFAULT: Self = Self(400_000_000);

    /// The bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// The bytes that are left beside what a command takes for itself.
    pub fn beside_process(self) -> usize {
        usize::try_from(self.0.saturating_sub(PROCESS_BYTES)).unwrap_or(usize::MAX)
    }
}

impl FromStr for MemorySize {
    type Err = String;

    /// A number and a unit: `kB`, `MB`, `GB` and `TB` are powers of 1000, `KiB`, `MiB`, `GiB` and `TiB` of
    /// 1024, in any case.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit_bytes: f64 = match unit.trim_start().to_ascii_lowercase().as_str() {
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            "kib" => 1024.0,
            "mib" => 1_048_576.0,
            "gib" => 1_073_741_824.0,
            "tib" => 1_099_511_627_776.0,
            _ => f64::NAN,
        };
        let bytes = number.parse::<f64>().map_or(f64::NAN, |number| number * unit_bytes);
        if bytes.is_nan() || bytes > 1e18 {
            return Err(format!(
                "{text:?} is no size of memory: write a number and a unit, e.g. 256MB or 1GiB"
            ));
        }
        let size = Self(bytes as u64);
        if size < Self::MIN {
            return Err(format!("{text} of memory is too little: the least is {}", Self::MIN));
        }
        Ok(size)
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1 << 30) == 0 => write!(f, "{}GiB", bytes >> 30),
            bytes if bytes % (1 << 20) == 0 => write!(f, "{}MiB", bytes >> 20),
            bytes => write!(f, "{}MB", bytes / 1_000_000),
        }
    }
}

/// A worker's leave to have rows at hand that are larger than a batch.
pub type Alone = OwnedSemaphorePermit;

/// How much memory workers share, and the part of each.
#[derive(Clone, Debug)]
pub struct Memory {
    workers: usize,
    worker_bytes: usize,
    oversized: Arc<Semaphore>,
}

impl Memory {
    /// Divides memory among as many workers as are wanted, or as it is enough for.
    pub fn new(size: MemorySize, workers_wanted: usize) -> Self {
        let for_workers = size.beside_process() / 4 * 3;
        let workers = (for_workers / WORKER_BYTES_MIN).clamp(1, workers_wanted.max(1));
        Self {
            workers,
            worker_bytes: for_workers / workers,
            oversized: Arc::new(Semaphore::new(1)),
        }
    }

    /// How many workers may run at a time.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// A batch is handed on from so many bytes on.
    pub fn batch_bytes(&self) -> usize {
        (self.worker_bytes / 16).min(BATCH_BYTES_MAX)
    }

    /// A row group is closed by the batch with which its values reach so many bytes.
    pub(crate) fn row_group_bytes(&self) -> usize {
        (self.worker_bytes / 2).min(ROW_GROUP_BYTES_MAX)
    }

    /// A row group's columns are encoded at the same time if their encoders take no more bytes than this.
    pub(crate) fn encoders_bytes(&self) -> usize {
        self.worker_bytes / 2
    }

    /// Waits until no other worker has rows at hand that are larger than a batch, and keeps others
    /// waiting until what it returns is dropped. Each such row is there some five times over, as it is
    /// decoded, encoded and compressed: in several workers at once, that would be more than they have.
    pub async fn alone(&self) -> Option<Alone> {
        self.oversized.clone().acquire_owned().await.ok() // it is never closed
    }
}

impl Default for Memory {
    /// [`MemorySize::DEFAULT`] for as many workers as there are processors.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(MemorySize::DEFAULT, processors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_elsewhere() {
        for (text, bytes) in [
            ("256MB", 256_000_000),
            ("1GiB", 1 << 30),
            (" 1.5 gb ", 1_500_000_000),
            ("200000kB", 200_000_000),
        ] {
            assert_eq!(text.parse(), Ok(MemorySize(bytes)), "{text}");
        }
        assert_eq!(MemorySize(1 << 30).to_string(), "1GiB");
        for text in [
            "",
            "much",
            "256",
            "MB",
            "1e3MB",
            "-1GB",
            "1..5GB",
            "256 M B",
            "9999999999TB",
        ] {
            let error = text.parse::<MemorySize>().unwrap_err();
            assert!(error.contains("write a number and a unit"), "{error}");
        }
        let error = "64MiB".parse::<MemorySize>().unwrap_err();
        assert_eq!(error, "64MiB of memory is too little: the least is 128MB");
    }

    #[test]
    fn workers_are_no_more_than_memory_is_enough_for() {
        let memory = Memory::new(MemorySize::DEFAULT, 2);
        assert_eq!((memory.workers(), memory.batch_bytes() >> 20), (2, 7));
        let memory = Memory::new(MemorySize::DEFAULT, 16);
        assert_eq!(memory.workers(), 16);
        assert!(memory.row_group_bytes() >= 7 << 20);
        let memory = Memory::new(MemorySize::MIN, 16);
        assert_eq!(memory.workers(), 3);
        assert!(Memory::new(MemorySize::MIN, 0).workers() == 1);
    }
}
