//! The parts that a row goes through, each alone: out of a COPY stream, into Parquet, into a COPY stream.
//!
//! `cargo bench -p lake-bench`, and with a name for some: `… -- decode`. The rows come from fixed seeds; bytes a
//! second are those of the COPY stream in all three.

#[path = "../src/lineitem.rs"]
mod lineitem;
mod mixed;

use std::hint::black_box;
use std::path::Path;

use arrow::array::RecordBatch;
use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput};
use lake_postgres::ColumnCodec;
use lake_postgres::copy::{BatchSize, CopyDecoder, CopyEncoder};
use lake_storage::{Compatibility, FileWriter, Memory};

/// About 120,000 rows of lineitem.
const SCALE: f64 = 0.02;
/// A chunk of the stream holds so many rows whole, as a read of a socket does.
const CHUNK_ROWS: usize = 512;
const BATCH_ROWS: usize = 16 * CHUNK_ROWS;

/// Rows as batches, and as the stream that Postgres has for them.
struct Sample {
    name: &'static str,
    batches: Vec<RecordBatch>,
    codecs: Vec<ColumnCodec>,
    chunks: Vec<Bytes>,
}

impl Sample {
    fn new(name: &'static str, batches: Vec<RecordBatch>, codecs: Vec<ColumnCodec>) -> anyhow::Result<Self> {
        let mut sample = Self {
            name,
            batches,
            codecs,
            chunks: Vec::new(),
        };
        let encoder = sample.encoder();
        let mut chunk = BytesMut::new();
        encoder.header(&mut chunk);
        for batch in &sample.batches {
            for row in (0..batch.num_rows()).step_by(CHUNK_ROWS) {
                let rows = CHUNK_ROWS.min(batch.num_rows() - row);
                encoder.rows(&batch.slice(row, rows), &mut chunk)?;
                sample.chunks.push(chunk.split().freeze());
            }
        }
        encoder.trailer(&mut chunk);
        sample.chunks.push(chunk.freeze());
        anyhow::ensure!(sample.decode()? == sample.batches, "{name}: other rows come back");
        Ok(sample)
    }

    fn encoder(&self) -> CopyEncoder {
        let schema = self.batches[0].schema();
        let names = schema.fields().iter().map(|field| field.name().clone());
        CopyEncoder::new(names.zip(self.codecs.iter().cloned()).collect())
    }

    fn encode(&self, out: &mut BytesMut) -> anyhow::Result<()> {
        let encoder = self.encoder();
        for batch in &self.batches {
            out.clear();
            encoder.rows(batch, out)?;
        }
        Ok(())
    }

    fn decode(&self) -> anyhow::Result<Vec<RecordBatch>> {
        let batch_max = BatchSize {
            rows: BATCH_ROWS,
            ..BatchSize::UNBOUNDED
        };
        let mut decoder = CopyDecoder::new(self.batches[0].schema(), &self.codecs, batch_max);
        let mut batches = Vec::new();
        for chunk in &self.chunks {
            decoder.feed(chunk)?;
            batches.extend(std::iter::from_fn(|| decoder.full_batch()));
        }
        decoder.end()?;
        batches.push(decoder.last_batch()?);
        Ok(batches)
    }

    fn write(&self, path: &Path, compatibility: Compatibility) -> anyhow::Result<()> {
        let mut writer = FileWriter::create(path, &self.batches[0].schema(), compatibility, &Memory::default())?;
        for batch in &self.batches {
            writer.write(batch)?;
        }
        writer.finish()?;
        Ok(())
    }

    fn stream_bytes(&self) -> Throughput {
        Throughput::Bytes(self.chunks.iter().map(|chunk| chunk.len() as u64).sum())
    }
}

fn samples() -> anyhow::Result<[Sample; 2]> {
    let numeric = ColumnCodec::Numeric {
        precision: 15,
        scale: 2,
    };
    let mut codecs = vec![ColumnCodec::Int8; 4];
    codecs.extend(vec![numeric; 4]);
    codecs.extend(vec![ColumnCodec::Text; 2]);
    codecs.extend(vec![ColumnCodec::Date; 3]);
    codecs.extend(vec![ColumnCodec::Text; 3]);
    let (mixed, mixed_codecs) = mixed::batches(120_000, BATCH_ROWS)?;
    Ok([
        Sample::new("lineitem", lineitem::batches(SCALE)?, codecs)?,
        Sample::new("mixed types", mixed, mixed_codecs)?,
    ])
}

fn benches(criterion: &mut Criterion) -> anyhow::Result<()> {
    let samples = samples()?;
    let mut group = criterion.benchmark_group("decode COPY");
    for sample in &samples {
        group.throughput(sample.stream_bytes());
        group.bench_function(sample.name, |bencher| {
            bencher.iter(|| sample.decode().expect("it was decoded before"));
        });
    }
    group.finish();

    // In memory where there is such a folder: the disk has no say in what an encoder takes.
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory)?,
        false => tempfile::tempdir()?,
    };
    let path = folder.path().join("sample.parquet");
    let mut group = criterion.benchmark_group("write Parquet");
    for sample in &samples {
        group.throughput(sample.stream_bytes());
        for compatibility in [Compatibility::New, Compatibility::Wide] {
            group.bench_function(format!("{}, {compatibility:?}", sample.name), |bencher| {
                bencher.iter(|| sample.write(&path, compatibility).expect("a file can be written"));
            });
        }
    }
    group.finish();

    let mut group = criterion.benchmark_group("encode COPY");
    let mut out = BytesMut::new();
    for sample in &samples {
        group.throughput(sample.stream_bytes());
        group.bench_function(sample.name, |bencher| {
            bencher.iter(|| {
                sample.encode(&mut out).expect("it was encoded before");
                black_box(out.len())
            });
        });
    }
    group.finish();
    Ok(())
}

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` runs each once, by an argument that cargo gives.
    let mut criterion = Criterion::default().configure_from_args();
    benches(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
