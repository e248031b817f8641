//! Waits for what other sessions do: said on stderr, and no longer than the config has it.

use std::thread;
use std::time::Duration;

use crate::workshop::{DAY, Workshop};

#[test]
fn a_wait_for_a_lock_is_told_and_ends_well_when_the_lock_is_let_go() {
    let workshop = Workshop::new();
    workshop.edit("sources:", "lock_timeout: 3s\nsources:");
    let session = workshop.source.session();
    session.execute("begin; lock table items in access exclusive mode");
    let holder = thread::spawn(move || {
        thread::sleep(Duration::from_millis(2500));
        drop(session);
    });
    let message = workshop
        .lake(&format!("extract --date {DAY} --source shop"))
        .done()
        .stderr;
    holder.join().unwrap();
    let told: Vec<&str> = message.lines().filter(|line| line.contains("waiting to")).collect();
    let [line] = told[..] else {
        panic!("one line: {message}")
    };
    for text in [
        "warning: waiting to lock the tables for reading: public.items is locked by process ",
        "(postgres, idle in transaction: begin; lock table items in access exclusive mode)",
        "`select pg_terminate_backend(",
        "this gives up after 3 s (`lock_timeout`)",
    ] {
        assert!(line.contains(text), "{text} in {line}");
    }

    let session = workshop.source.session();
    session.execute("begin; lock table items in access exclusive mode");
    workshop.edit("lock_timeout: 3s", "lock_timeout: 400ms");
    let message = workshop.lake(&format!("extract --date {DAY} --source shop")).failed(1);
    for text in [
        "it has waited 400 ms (`lock_timeout` in the config)",
        "public.items is locked by process ",
    ] {
        assert!(message.contains(text), "{text} in {message}");
    }
}
