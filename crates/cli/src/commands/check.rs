//! `lake check`

use std::collections::BTreeMap;
use std::sync::Arc;

use lake_extractor::{Probe, Source};
use lake_postgres::{Connection, Mode};
use lake_storage::{Lake, Relation};

use crate::args::Global;
use crate::config::Config;
use crate::failure::{self, Status, WithStatus};
use crate::pipeline::{origins, show};
use crate::ui::{Progress, plural, visible};

/// Try everything that a run needs, and say how to mend what fails.
#[derive(clap::Args)]
pub struct Args {
    /// Read every row of the sources too, and write nothing: shows all values for which the config needs a line.
    #[arg(long)]
    deep: bool,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let config = Config::read(&global.config)?;
    let mut failed = 0;
    let mut tell = |name: String, result: anyhow::Result<String>| -> anyhow::Result<()> {
        let line = match result {
            Ok(found) => format!("ok    {name}: {}", visible(&found)),
            Err(error) => {
                failed += 1;
                format!("FAIL  {name}: {}", visible(&failure::chain(&error)))
            }
        };
        Ok(super::print_line(line)?)
    };
    tell("config".into(), Ok(config.path.display().to_string()))?;
    let lake = Lake::at(&config.lake).and_then(|lake| lake.check_path());
    tell(
        "lake".into(),
        lake.map_err(Into::into).and_then(|()| writable(&config.lake)),
    )?;
    let mut tables = BTreeMap::new();
    for name in config.source_names() {
        let probed = async {
            let source = config.source(&name)?;
            let probe = match args.deep {
                true => probe_values(global, &config, &source).await?,
                false => lake_extractor::probe(&Lake::at(&config.lake)?, &source, "lake check").await?,
            };
            let count = plural(probe.tables.len() as u64, "table");
            tables.insert(name.clone(), probe.tables);
            anyhow::Ok(format!("{}, {count}", probe.description))
        };
        tell(format!("source {name}"), probed.await)?;
    }
    for (name, path) in &config.queries {
        let read = std::fs::read_to_string(path)
            .map(|_| path.display().to_string())
            .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", path.display()));
        tell(format!("query {name}"), read)?;
    }
    if config.has_target() {
        tell("target".into(), target(&config, tables).await)?;
    }
    if !config.queries.is_empty() {
        tell("output".into(), writable(&config.output))?;
    }
    if failed > 0 {
        return Err(WithStatus {
            status: Status::Failed,
            message: format!("{} failed", plural(failed, "check")),
        }
        .into());
    }
    Ok(())
}

async fn probe_values(global: &Global, config: &Config, source: &Source) -> anyhow::Result<Probe> {
    let lake = global.open_lake(config)?;
    let label = format!("check {}", source.name());
    let progress = Arc::new(Progress::new(global.progress, global.quiet, label));
    let jobs = lake.memory().workers();
    let probed = lake_extractor::probe_values(&lake, source, "lake check", jobs, move |news| show(&progress, news));
    Ok(probed.await?)
}

/// Writes a file into a folder and removes it again.
fn writable(folder: &std::path::Path) -> anyhow::Result<String> {
    std::fs::create_dir_all(folder)
        .and_then(|()| {
            let probe = folder.join(format!(".lake-check-{}", std::process::id()));
            std::fs::write(&probe, b"")?;
            std::fs::remove_file(probe)
        })
        .map_err(|error| anyhow::anyhow!("cannot write to {}: {error}", folder.display()))?;
    let root = Lake::at(folder)?.root().display().to_string();
    Ok(format!("{root} can be written"))
}

/// `tables`: of the sources that could be reached.
async fn target(config: &Config, tables: BTreeMap<String, Vec<(String, Option<Relation>)>>) -> anyhow::Result<String> {
    let target = crate::pipeline::target(config)?;
    let connection = Connection::open(&target.url, "lake check", target.timeouts).await?;
    let mut connection = connection.begin(Mode::ReadWrite).await?;
    let row = connection
        .query_one(
            "select pg_catalog.current_setting('server_version'), pg_catalog.current_database()::text",
            &[],
        )
        .await?;
    let (version, database): (String, String) = (row.get(0), row.get(1));
    for origin in origins(config) {
        if let Some(tables) = tables.get(&origin.source) {
            let relations = tables.iter().filter_map(|(_, relation)| relation.as_ref());
            let schemas = relations.map(|relation| relation.schema.clone()).collect();
            connection = lake_loader::refuse_source(connection, &target, &origin, schemas).await?;
        }
    }
    let results = config.query_names().into_iter().map(|name| (name, None));
    let tables = tables.into_values().flatten().chain(results);
    lake_loader::refuse_strangers(&connection, &target, &config.source_names(), tables).await?;
    connection.commit().await?;
    Ok(format!("PostgreSQL {version}, database {database}"))
}
