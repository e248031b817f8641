//! What each Parquet encoding costs and saves, column by column: the figures that the lake's choice rests on.

use std::io::Write as _;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::lineitem;

/// Write each column of lineitem alone, under each encoding.
#[derive(clap::Args)]
pub struct Args {
    /// TPC-H's scale factor.
    #[arg(long, default_value_t = 0.2)]
    scale: f64,
    /// Rounds; the fastest is printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let batches = lineitem::batches(args.scale)?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "lineitem, {rows} rows, one thread, zstd 1, the fastest of {} rounds; ns and bytes a value\n",
        args.rounds
    )?;
    writeln!(
        out,
        "| column | dictionary | plain | delta | dictionary, no statistics |"
    )?;
    writeln!(out, "| --- | --- | --- | --- | --- |")?;
    for (number, field) in batches[0].schema().fields().iter().enumerate() {
        let column: Vec<RecordBatch> = batches
            .iter()
            .map(|batch| batch.project(&[number]))
            .collect::<Result<_, _>>()?;
        let delta = match field.data_type() {
            DataType::Utf8 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            _ => Encoding::DELTA_BINARY_PACKED,
        };
        let (page, none) = (EnabledStatistics::Page, EnabledStatistics::None);
        write!(out, "| {} |", field.name())?;
        for (dictionary, encoding, statistics) in [
            (true, Encoding::PLAIN, page),
            (false, Encoding::PLAIN, page),
            (false, delta, page),
            (true, Encoding::PLAIN, none),
        ] {
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
                .set_dictionary_enabled(dictionary)
                .set_encoding(encoding)
                .set_statistics_enabled(statistics)
                .build();
            let (ns, bytes) = write_column(&column, &properties, args.rounds)?;
            write!(
                out,
                " {:.0} ns, {:.2} B |",
                ns / rows as f64,
                bytes as f64 / rows as f64
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The nanoseconds of the fastest round, and the file's bytes.
fn write_column(column: &[RecordBatch], properties: &WriterProperties, rounds: usize) -> anyhow::Result<(f64, usize)> {
    let mut fastest = f64::INFINITY;
    let mut bytes = 0;
    for _ in 0..rounds {
        let started = Instant::now();
        let mut writer = ArrowWriter::try_new(Vec::new(), column[0].schema(), Some(properties.clone()))?;
        for batch in column {
            writer.write(batch)?;
        }
        bytes = writer.into_inner()?.len();
        fastest = fastest.min(started.elapsed().as_nanos() as f64);
    }
    Ok((fastest, bytes))
}
