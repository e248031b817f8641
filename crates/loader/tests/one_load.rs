//! Two loads at once, and what a killed one leaves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lake_loader::{Error, Progress};

use crate::fixture::{Column, Fixture, monday, table};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_load_learns_who_is_at_it() {
    let fixture = Fixture::new().await;
    fixture.publish(monday(), [table("a", [Column::int("id", [1])])]).await;
    let (reached, go_on) = (tokio::sync::Notify::new(), AtomicBool::new(false));
    let request = fixture.request(monday());
    let first = lake_loader::load(&fixture.lake, &fixture.target, &request, |news| {
        if let Progress::Sent { .. } = news {
            reached.notify_one();
            while !go_on.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
    let second = async {
        reached.notified().await;
        let refused = fixture.load(monday()).await;
        let mut elsewhere = fixture.target.clone();
        elsewhere.schema = "other".parse().unwrap();
        let other = lake_loader::load(&fixture.lake, &elsewhere, &fixture.request(monday()), |_| {}).await;
        go_on.store(true, Ordering::Relaxed);
        (refused, other)
    };
    // The first blocks its thread while it waits, so it can't share one with the second.
    let (first, (refused, other)) = on_two_threads(first, second).await;
    first.unwrap();
    other.unwrap();
    let error = refused.unwrap_err();
    let Error::Locked { schema, holder } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (schema.as_str(), holder.application_name.as_str()),
        ("public", "lake load 2021-01-04")
    );
    assert!(holder.pid > 0 && holder.since.starts_with("20"), "{holder:?}");
    fixture.load(monday()).await.unwrap();
}

/// Runs two futures on two threads.
async fn on_two_threads<A: Send, B: Send>(
    a: impl Future<Output = A> + Send,
    b: impl Future<Output = B> + Send,
) -> (A, B) {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| runtime.block_on(a));
            let b = runtime.block_on(b);
            (thread.join().unwrap(), b)
        })
    })
}

#[tokio::test]
async fn staging_of_a_killed_load_is_dropped_and_nothing_else() {
    let fixture = Fixture::new().await;
    fixture.publish(monday(), [table("a", [Column::int("id", [1])])]).await;
    fixture
        .execute(
            "create unlogged table \"_lake_staging_20210104T000000-0a1b_0_x\" (id integer); \
             create table _lake_staging_mine (id integer); create unlogged table _lake_staging_x (id integer); \
             create unlogged table xlakeystagingz (id integer); \
             create schema \"_lake_staging_20210104T000000-0a1b_0_public\"; \
             comment on schema \"_lake_staging_20210104T000000-0a1b_0_public\" is 'staging of public'; \
             create table \"_lake_staging_20210104T000000-0a1b_0_public\".a (id integer); \
             create schema _lake_staging_public; create table _lake_staging_public.b (id integer)",
        )
        .await;
    fixture.load(monday()).await.unwrap();
    // A killed load's alone: what others call nearly so is theirs.
    assert_eq!(
        fixture.leftovers().await,
        "_lake_staging_mine\n_lake_staging_x\n_lake_staging_public"
    );
    assert_eq!(
        fixture.query("select to_regclass('xlakeystagingz') is not null").await,
        "true"
    );
}
