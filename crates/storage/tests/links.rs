//! Links inside a lake lead nowhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lake_storage::{Error, Lake, RunLog};

use crate::{day, lake, publish};

const OUTSIDE: &str = "not the lake's";

/// Everything that commands do with a lake of one day.
async fn use_of(lake: &Lake) -> Result<(), Error> {
    let date = day("2026-01-01");
    RunLog::begin(lake, "test", date)?.step_started("extract", None)?;
    lake.runs(date)?;
    let guard = lake.read_guard("shop")?;
    for source in lake.sources()? {
        for date in lake.days(&source)? {
            let Some(manifest) = lake.manifest(&source, date)? else {
                continue;
            };
            for (name, entry) in &manifest.tables {
                lake.table_schema(&source, name).await?;
                lake.batches(&source, name, entry)?
                    .try_for_each(|batch| batch.map(drop))?;
            }
        }
    }
    drop(guard);
    let error = match lake.begin_day("shop", date, &Default::default(), "test") {
        Ok(writer) => writer.bad_rows_file("orders").map(drop).err(),
        Err(error) => Some(error),
    };
    error.map_or(Ok(()), Err)?;
    publish(lake, "2026-01-01", &[("orders", &[7])]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_refused_wherever_it_is() {
    let files = [
        "_locks/shop/2026-01-01.lock",
        "_locks/shop/readers.lock",
        "_manifests/shop/2026-01-01.json",
        "_manifests/shop/2026-01-01.tmp",
        "_manifests/shop/2026-01-01.partial.json",
        "shop/orders/_delta_log/00000000000000000000.json",
        "shop/orders/_delta_log/00000000000000000009.json",
    ];
    let folders = [
        "_locks",
        "_locks/shop",
        "_locks/_runs",
        "_manifests",
        "_manifests/shop",
        "_runs",
        "_runs/2026-01-01",
        "_staging",
        "_staging/shop",
        "_staging/shop/2026-01-01",
        "shop",
        "shop/orders",
        "shop/orders/_delta_log",
        "shop/orders/extract_date=2026-01-01",
    ];
    let of_file = |place: &&str| {
        Path::new(place)
            .extension()
            .is_some_and(|extension| extension != "2026-01-01")
    };
    for place in files.into_iter().chain(folders).chain(["PARQUET"]) {
        for dangling in [false, true] {
            let (folder, lake) = lake();
            publish(&lake, "2026-01-01", &[("orders", &[1, 2])]).await.unwrap();
            let inside = match place {
                "PARQUET" => parquet_file(&lake),
                place => lake.root().join(place),
            };
            let outside = folder.path().join("outside");
            match (inside.symlink_metadata().is_ok(), dangling) {
                // The content is the right one: only the link is wrong.
                (true, false) => fs::rename(&inside, &outside).unwrap(),
                (true, true) if inside.is_dir() => fs::remove_dir_all(&inside).unwrap(),
                (true, true) => fs::remove_file(&inside).unwrap(),
                (false, false) if of_file(&place) => fs::write(&outside, OUTSIDE).unwrap(),
                (false, false) => fs::create_dir(&outside).unwrap(),
                (false, true) => {}
            }
            fs::create_dir_all(inside.parent().unwrap()).unwrap();
            symlink(&outside, &inside).unwrap();
            let before = content(&outside);
            let used = use_of(&lake).await;
            let Err(Error::Link { path }) = &used else {
                panic!("{place}, dangling: {dangling}: {used:?}");
            };
            assert_eq!(path, &inside);
            assert_eq!(content(&outside), before, "{place}, dangling: {dangling}");
        }
    }
}

fn parquet_file(lake: &Lake) -> PathBuf {
    let manifest = lake.manifest("shop", day("2026-01-01")).unwrap().unwrap();
    let files = lake.files("shop", "orders", &manifest.tables["orders"]).unwrap();
    files[0].path.clone()
}

/// All files at or below a path, with what is in them.
fn content(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    if path.is_file() {
        return vec![(path.into(), fs::read(path).unwrap())];
    }
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries.flat_map(|entry| content(&entry.unwrap().path())).collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lake_itself_may_be_a_link() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("disk/lake")).unwrap();
    symlink(folder.path().join("disk"), folder.path().join("mnt")).unwrap();
    symlink(folder.path().join("mnt/lake"), folder.path().join("lake")).unwrap();
    for root in ["lake", "mnt/lake", "mnt/new/lake"] {
        let lake = Lake::at(&folder.path().join(root)).unwrap();
        publish(&lake, "2026-01-01", &[("orders", &[1])]).await.unwrap();
        use_of(&lake).await.unwrap();
    }
    assert!(folder.path().join("disk/lake/shop/orders/_delta_log").is_dir());
    assert!(folder.path().join("disk/new/lake/shop/orders/_delta_log").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_name_of_a_file_is_not_written_through() {
    let (folder, lake) = lake();
    publish(&lake, "2026-01-01", &[("orders", &[1])]).await.unwrap();
    let outside = folder.path().join("outside");
    fs::write(&outside, OUTSIDE).unwrap();
    for name in ["_locks/shop/2026-01-01.lock", "_manifests/shop/2026-01-01.tmp"] {
        fs::hard_link(&outside, lake.root().join(name)).unwrap();
    }
    publish(&lake, "2026-01-01", &[("orders", &[2])]).await.unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), OUTSIDE);
}
