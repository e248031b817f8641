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
