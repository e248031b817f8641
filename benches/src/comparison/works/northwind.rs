//! A whole day of 14 small tables: extract, transform, load, export.

use std::fs;

use super::LAKE;
use crate::comparison::dataset;
use crate::comparison::scene::{Project, Scene, TARGET};
use crate::comparison::work::{Bar, Contender, Limit, Work};

const QUERY: &str = include_str!("../../../../queries/orders_with_details.sql");
const AGAIN: &str = "lake, the same day again";

pub fn work(scene: &Scene) -> anyhow::Result<Work<'_>> {
    let config = format!(
        "lake: ./lake
output: ./output
exports: [csv, json]
sources:
  postgres:
    type: postgres
    url: {}
    tables: [\"public.*\"]
  csv:
    type: csv
    files:
      order_details: ./order_details.csv
target:
  type: postgres
  url: {}
queries:
  orders_with_details: ./orders_with_details.sql
",
        scene.server.url("northwind"),
        scene.server.url(TARGET)
    );
    let project = |name| {
        let project = Project::new(scene, name, &config)?;
        fs::write(project.folder.join("orders_with_details.sql"), QUERY)?;
        dataset::northwind(scene, &project.folder)?;
        anyhow::Ok(project)
    };
    let run = |project: &Project<'_>| {
        let measured = scene.measure(project.lake_day("run"), 1.0)?;
        let (loaded, expected) = (scene.server.rows(TARGET, "orders_with_details")?, 2155);
        anyhow::ensure!(
            loaded == expected,
            "the target has {loaded} rows of the result, not {expected}"
        );
        Ok(measured)
    };
    let (first, again) = (project("northwind")?, project("northwind_again")?);
    Ok(Work {
        id: "northwind",
        title: "Northwind: 13 tables and a CSV file, the whole `lake run`".into(),
        contenders: vec![
            Contender::new(LAKE, move || {
                first.clear()?;
                scene.new_target()?;
                run(&first)
            })
            .note("a new lake, an empty target"),
            Contender::new(AGAIN, move || {
                again.clear()?;
                scene.new_target()?;
                run(&again)?;
                scene.server.checkpoint()?;
                run(&again)
            })
            .note("replaces the day in both"),
        ],
        bars: [LAKE, AGAIN].map(|name| Bar::new(name, Limit::Seconds(1.0))).into(),
    })
}
