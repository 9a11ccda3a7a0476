//! Real clusters: these tests need PostgreSQL's programs (`make setup`).

use std::os::unix::fs::PermissionsExt;

use sqlx::Row;

use super::*;

fn options(data_dir: &Path) -> Options {
    Options {
        durability: Durability::Off,
        ..Options::new(data_dir, "mirror")
    }
}

async fn run(postgres: &EmbeddedPostgres, statement: &'static str) {
    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

async fn count(postgres: &EmbeddedPostgres) -> i64 {
    let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
    let rows = sqlx::raw_sql("SELECT count(*) FROM note")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    rows.get(0)
}

fn lives(pid: i32) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok()
}

#[tokio::test]
async fn data_survives_stop_drop_and_destroy_removes_it() {
    let temp = tempfile::tempdir().unwrap();
    let first = EmbeddedPostgres::start(options(temp.path())).await.unwrap();
    run(
        &first,
        "CREATE TABLE note (id int); INSERT INTO note VALUES (1)",
    )
    .await;

    let second = EmbeddedPostgres::start(options(temp.path()))
        .await
        .unwrap_err();
    let ours = std::process::id();
    assert!(matches!(second, EmbeddedError::Locked { pid: Some(pid), .. } if pid == ours));
    first.stop().await.unwrap();

    let again = EmbeddedPostgres::start(options(temp.path())).await.unwrap();
    assert_eq!(count(&again).await, 1);
    run(&again, "INSERT INTO note VALUES (2)").await;
    let pid = again.pid();
    drop(again);
    assert!(!lives(pid), "the drop ends the server");

    let mut settings = options(temp.path());
    settings
        .settings
        .push(("application_name".to_owned(), "x".to_owned()));
    let last = EmbeddedPostgres::start(settings).await.unwrap();
    assert_eq!(count(&last).await, 2);
    let home = last.home.clone();
    last.destroy().await.unwrap();
    assert!(!home.join("pgdata").exists() && !temp.path().join("pgdata").exists());
}

/// What `kill -9` of the daemon leaves: a server without its parent, the lock dropped.
#[tokio::test]
async fn the_server_of_a_killed_run_is_stopped_and_its_data_kept() {
    let temp = tempfile::tempdir().unwrap();
    let first = EmbeddedPostgres::start(options(temp.path())).await.unwrap();
    run(
        &first,
        "CREATE TABLE note (id int); INSERT INTO note VALUES (1)",
    )
    .await;
    // A connection that stays open, as a killed daemon's server may have for a moment.
    let open = PgConnection::connect(&first.url()).await.unwrap();
    let orphan = first.pid();
    // Forget the value as a kill would: no stop, no drop. Only the lock is dropped by the kernel.
    let lock = first._lock.inherited();
    std::mem::forget(first);
    lock.unlock().unwrap();

    let second = EmbeddedPostgres::start(options(temp.path())).await.unwrap();
    assert_ne!(second.pid(), orphan);
    assert_eq!(count(&second).await, 1);
    drop(open);
    second.destroy().await.unwrap();
}

/// The server itself is killed outright: its own files are stale, and the data is recovered.
#[tokio::test]
async fn a_killed_server_is_noticed_and_recovered() {
    let temp = tempfile::tempdir().unwrap();
    let mut first = EmbeddedPostgres::start(options(temp.path())).await.unwrap();
    run(
        &first,
        "CREATE TABLE note (id int); INSERT INTO note VALUES (1); CHECKPOINT",
    )
    .await;
    cluster::send(first.pid(), Signal::SIGKILL).unwrap();
    let died = time::timeout(Duration::from_secs(10), first.died())
        .await
        .unwrap();
    assert!(matches!(died, EmbeddedError::Died { .. }), "{died}");
    drop(first);
    let second = EmbeddedPostgres::start(options(temp.path())).await.unwrap();
    assert_eq!(count(&second).await, 1);
    second.destroy().await.unwrap();
}

#[tokio::test]
async fn a_failed_start_shows_the_log() {
    let temp = tempfile::tempdir().unwrap();
    let mut wrong = options(temp.path());
    wrong
        .settings
        .push(("no_such_setting".to_owned(), "1".to_owned()));
    let error = EmbeddedPostgres::start(wrong).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Start { .. }), "{error}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
    EmbeddedPostgres::start(options(temp.path()))
        .await
        .unwrap()
        .destroy()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_works() {
    let mut builder = tempfile::Builder::new();
    let prefix = "long name & more ".repeat(7);
    let long = builder
        .prefix(&prefix)
        .tempdir_in(std::env::temp_dir())
        .unwrap();
    let postgres = EmbeddedPostgres::start(options(long.path())).await.unwrap();
    run(&postgres, "CREATE TABLE note (id int)").await;
    assert_eq!(count(&postgres).await, 0);
    postgres.destroy().await.unwrap();
}

#[tokio::test]
async fn a_folder_below_a_closed_one_works() {
    let temp = tempfile::tempdir().unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let data_dir = temp.path().join("project/.data");
    let postgres = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
    run(
        &postgres,
        "CREATE TABLE note (id int); INSERT INTO note VALUES (1)",
    )
    .await;
    let home = postgres.home.clone();
    postgres.stop().await.unwrap();
    let again = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
    assert_eq!(again.home, home);
    assert_eq!(count(&again).await, 1);
    again.destroy().await.unwrap();
    assert!(!home.join("pgdata").exists());
}

#[tokio::test]
async fn names_and_versions_are_checked() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["", "Mirror", "a\"b", &"x".repeat(64)] {
        let wrong = Options {
            database: name.to_owned(),
            ..options(temp.path())
        };
        let error = EmbeddedPostgres::start(wrong).await.unwrap_err();
        assert!(
            matches!(
                error,
                EmbeddedError::Option {
                    option: "database",
                    ..
                }
            ),
            "{error}"
        );
    }
    let pgdata = temp.path().join("pgdata");
    fs::create_dir(&pgdata).unwrap();
    fs::write(pgdata.join("PG_VERSION"), "12\n").unwrap();
    let error = EmbeddedPostgres::start(options(temp.path()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, EmbeddedError::MajorVersion { cluster: 12, .. }),
        "{error}"
    );
}

/// A child in a process group of its own does not hear the terminal's Ctrl-C.
#[tokio::test]
async fn the_server_has_its_own_process_group() {
    let temp = tempfile::tempdir().unwrap();
    let postgres = EmbeddedPostgres::start(options(temp.path())).await.unwrap();
    let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(postgres.pid()))).unwrap();
    assert_eq!(group.as_raw(), postgres.pid());
    postgres.destroy().await.unwrap();
}
