//! The records of runs.

use lake_storage::{RunLog, StepStatus};

use crate::{day, lake};

#[test]
fn every_step_is_recorded_with_how_it_ended() {
    let (_folder, lake) = lake();
    let date = day("2026-01-01");
    let mut log = RunLog::begin(&lake, "lake run", date).unwrap();
    log.step_started("extract", Some("shop")).unwrap();
    log.step_ended(|step| step.rows = 5).unwrap();
    log.step_started("load", None).unwrap();
    let runs = lake.runs(date).unwrap();
    assert_eq!(runs[0].steps[0].status, StepStatus::Done);
    assert_eq!(runs[0].steps[0].rows, 5);
    assert_eq!(runs[0].steps[1].status, StepStatus::Running);
    // The process goes without a word.
    drop(log);
    assert_eq!(lake.runs(date).unwrap()[0].steps[1].status, StepStatus::Interrupted);
    assert_eq!(lake.run_days().unwrap(), [date]);
}

#[test]
fn a_record_that_was_changed_or_moved_is_refused() {
    let (_folder, lake) = lake();
    let date = day("2026-01-01");
    let mut log = RunLog::begin(&lake, "lake run", date).unwrap();
    log.step_started("extract", Some("shop")).unwrap();
    log.step_ended(|step| step.rows = 5).unwrap();
    let path = lake.runs_dir(date).join(format!("{}.json", log.run()));
    let content = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [("\"rows\": 5", "\"rows\": 6"), ("\"2026-01-01\"", "\"2026-01-02\"")] {
        std::fs::write(&path, content.replace(from, to)).unwrap();
        let error = lake.runs(date).unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
    // Without its hash, as before there were any.
    let old = content.rsplit_once(",\n  \"hash\"").unwrap().0.to_owned() + "}";
    std::fs::write(&path, &old).unwrap();
    assert_eq!(lake.runs(date).unwrap()[0].steps[0].rows, 5);
    for run in ["../../../../tmp/x", ""] {
        std::fs::write(&path, old.replace(&log.run().to_string(), run)).unwrap();
        assert!(lake.runs(date).is_err());
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::write(path.with_file_name("other.json"), content).unwrap();
    assert!(lake.runs(date).is_err());
}
