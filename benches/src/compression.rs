//! Which compression the lake's Parquet files get: time to write, size, time to read.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::lineitem;
use crate::statistics::median;

/// Write and read lineitem under each compression.
#[derive(clap::Args)]
pub struct Args {
    /// TPC-H's scale factor.
    #[arg(long, default_value_t = 0.2)]
    scale: f64,
    /// Rounds; the medians are printed.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

struct Measured {
    name: &'static str,
    compression: Compression,
    /// In seconds, as are those of reading.
    write: Vec<f64>,
    read: Vec<f64>,
    bytes: u64,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let batches = lineitem::batches(args.scale)?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("lineitem.parquet");
    let measured = |name, compression| Measured {
        name,
        compression,
        write: Vec::new(),
        read: Vec::new(),
        bytes: 0,
    };
    let mut all = [
        measured("none", Compression::UNCOMPRESSED),
        measured("snappy", Compression::SNAPPY),
        measured("zstd 1", Compression::ZSTD(ZstdLevel::try_new(1)?)),
        measured("zstd 3", Compression::ZSTD(ZstdLevel::try_new(3)?)),
    ];
    for _ in 0..args.rounds {
        for one in &mut all {
            let started = Instant::now();
            write(&path, &batches, one.compression)?;
            one.write.push(started.elapsed().as_secs_f64());
            one.bytes = path.metadata()?.len();
            let started = Instant::now();
            anyhow::ensure!(read(&path)? == rows, "rows were lost");
            one.read.push(started.elapsed().as_secs_f64());
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "lineitem, {rows} rows, one thread, medians of {} rounds\n",
        args.rounds
    )?;
    writeln!(
        out,
        "| compression | write | against none | size | against none | read | against none |"
    )?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- | --- |")?;
    let medians = |one: &Measured| {
        (
            median(&one.write).unwrap_or_default(),
            median(&one.read).unwrap_or_default(),
        )
    };
    let (base_write, base_read) = medians(&all[0]);
    for one in &all {
        let (write, read) = medians(one);
        writeln!(
            out,
            "| {} | {:.2} s | {:.2} | {:.1} MB | {:.2} | {:.2} s | {:.2} |",
            one.name,
            write,
            write / base_write,
            one.bytes as f64 / 1e6,
            one.bytes as f64 / all[0].bytes as f64,
            read,
            read / base_read,
        )?;
    }
    Ok(())
}

/// As the lake writes, with this compression; synced.
fn write(path: &Path, batches: &[RecordBatch], compression: Compression) -> anyhow::Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_bytes(Some(32 << 20))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, batches[0].schema(), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.into_inner()?.sync_all()?;
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<usize> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?
        .with_batch_size(8192)
        .build()?;
    let mut rows = 0;
    for batch in reader {
        rows += batch?.num_rows();
    }
    Ok(rows)
}
