//! Many tables of few rows: what a table costs, whatever is in it.

use super::LAKE;
use crate::comparison::dataset::{self, MANY_ROWS};
use crate::comparison::markdown::thousands;
use crate::comparison::parquet_rows::parquet_rows;
use crate::comparison::scene::{Project, Scene};
use crate::comparison::work::{Bar, Contender, Limit, Work};

pub fn work(scene: &Scene) -> anyhow::Result<Work<'_>> {
    let tables = dataset::many(scene)?;
    let project = Project::of_tables(scene, "many", "many", &["public.*"])?;
    let lake = Contender::new(LAKE, move || {
        project.clear()?;
        let measured = scene.measure(project.lake_day("extract"), 10.0)?;
        let (rows, expected) = (parquet_rows(&project.folder.join("lake/source"))?, tables * MANY_ROWS);
        anyhow::ensure!(rows == expected, "{rows} rows in the files, {expected} in the tables");
        Ok(measured)
    });
    Ok(Work {
        id: "many_tables",
        title: format!("Extract: {} tables of {MANY_ROWS} rows each", thousands(tables)),
        contenders: vec![lake],
        bars: vec![Bar::new(
            LAKE,
            Limit::MillisecondsEach {
                milliseconds: 15.0,
                tables,
            },
        )],
    })
}
