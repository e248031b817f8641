//! `lake generate`

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use lake_sandbox::Northwind;

use crate::ui::path_text;

/// Write sample data: a SQL script for a database and the CSV file that goes with it.
#[derive(clap::Args)]
pub struct Args {
    /// Which data.
    #[arg(value_enum)]
    sample: Sample,
    /// How many times the size of the well-known sample.
    #[arg(long, default_value_t = 1, env = "LAKE_SCALE", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    scale: u32,
    /// The seed that the values grow from: the same seed gives the same bytes.
    #[arg(long, default_value_t = 42, env = "LAKE_SEED")]
    seed: u64,
    /// The folder to write to.
    #[arg(short, long, default_value = "data", env = "LAKE_DIR", value_name = "FOLDER")]
    dir: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sample {
    /// The 13 tables of the Northwind database as northwind.sql, and order_details.csv.
    Northwind,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let Sample::Northwind = args.sample;
    let northwind = Northwind::new(args.scale, args.seed)?;
    write(&args.dir.join("northwind.sql"), |out| northwind.write_sql(out))?;
    write(&args.dir.join("order_details.csv"), |out| {
        northwind.write_order_details_csv(out)
    })?;
    Ok(())
}

fn write(path: &Path, body: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> anyhow::Result<()> {
    let action = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(action)?;
    }
    let mut out = BufWriter::new(File::create(path).with_context(action)?);
    body(&mut out).and_then(|()| out.flush()).with_context(action)?;
    tracing::info!("wrote {}", path_text(path));
    Ok(())
}
