//! The data folder: making a cluster, the lock, servers that an earlier run left behind, the log.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    Durability, SUPERUSER,
    account::{Account, command, private_folder},
    discover::Binaries,
    error::{EmbeddedError, file},
};

/// How long a server gets for an orderly stop before it is told to drop everything.
const FAST_STOP: Duration = Duration::from_secs(20);
/// How long a server gets to drop everything.
const IMMEDIATE_STOP: Duration = Duration::from_secs(10);
/// The log starts anew (keeping one old file) when it is larger than this.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How much of the end of the log is read to find its last lines.
const TAIL_BYTES: u64 = 16 * 1024;

/// The data folder, held by this process. The kernel drops it when the process ends, however it
/// ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// The same lock by another descriptor, as a process forked at this moment has.
    #[cfg(test)]
    pub(super) fn inherited(&self) -> File {
        self.0.try_clone().unwrap()
    }
}

impl Drop for Lock {
    /// Closing is not enough: a child that another thread has forked and that has not yet become
    /// its program shares the lock, and would keep it for that moment.
    fn drop(&mut self) {
        // Nobody is left to report to, and closing comes next.
        let _ = self.0.unlock();
    }
}

/// Takes the data folder for this process, or says who has it.
pub(super) fn lock(data_dir: &Path) -> Result<Lock, EmbeddedError> {
    let path = data_dir.join("lock");
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(file("open", &path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The id only makes the message better: without it the refusal stands all the same.
            let pid = lock
                .read_to_string(&mut text)
                .ok()
                .and_then(|_| text.trim().parse().ok());
            return Err(EmbeddedError::Locked {
                data_dir: data_dir.to_owned(),
                pid,
            });
        }
        Err(TryLockError::Error(source)) => return Err(file("lock", path)(source)),
    }
    lock.set_len(0)
        .and_then(|()| write!(lock, "{}", std::process::id()))
        .map_err(file("write", path))?;
    Ok(Lock(lock))
}

/// The major version of an existing cluster.
pub(super) fn major_of(pgdata: &Path) -> Result<Option<u32>, EmbeddedError> {
    let path = pgdata.join("PG_VERSION");
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(file("read", &path))?;
    match text.trim().parse() {
        Ok(major) => Ok(Some(major)),
        Err(_) => Err(EmbeddedError::ClusterVersion { path, text }),
    }
}

/// Makes a cluster in `home/pgdata`.
///
/// It is made beside and then renamed, so a run that is killed half-way leaves no half cluster.
/// The locale is C (text sorts by its bytes, the same on every machine), the encoding UTF-8.
/// Whoever can open the socket may log in as the superuser: the folder of the socket, mode 0700,
/// is the door.
pub(super) async fn init(
    home: &Path,
    binaries: &Binaries,
    account: Option<Account>,
    durability: Durability,
) -> Result<(), EmbeddedError> {
    for entry in fs::read_dir(home)
        .map_err(file("read", home))?
        .filter_map(Result::ok)
    {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with("pgdata.making-")
        {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(file("remove", &path))?;
        }
    }
    let pgdata = home.join("pgdata");
    let fresh = home.join(format!("pgdata.making-{}", std::process::id()));
    private_folder(&fresh, account)?;

    let program = binaries.bin_dir.join("initdb");
    let mut initdb = command(&program, account);
    initdb.arg("--pgdata").arg(&fresh).args([
        "--username",
        SUPERUSER,
        "--encoding=UTF8",
        "--no-locale",
        "--auth-local=trust",
        "--auth-host=reject",
        "--no-instructions",
    ]);
    if durability == Durability::Off {
        initdb.arg("--no-sync");
    }
    let output = initdb
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| EmbeddedError::Spawn { program, source })?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        return Err(EmbeddedError::InitDb {
            pgdata,
            status: output.status,
            output: last_lines(&String::from_utf8_lossy(&text), 20),
        });
    }
    fs::rename(&fresh, &pgdata).map_err(file("rename", &fresh))
}

/// Ends what an earlier run left behind, so that a new server can start on the same data.
///
/// Call it with the lock held. A run that was killed leaves its server running: that server is
/// stopped in order and nothing is lost. A server that was killed leaves `postmaster.pid`, which
/// the next one clears up itself: it holds what Postgres needs to tell that nobody uses the data.
/// Only if its number belongs to an unrelated process by now is it removed here, once no process
/// of the old server is left: Postgres would take the stranger for a server and refuse to start.
pub(super) async fn clear_orphan(pgdata: &Path, sockets: &Path) -> Result<(), EmbeddedError> {
    let path = pgdata.join("postmaster.pid");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(file("read", path)(source)),
    };
    let pid = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok())
        .filter(|pid| *pid > 1);
    let socket_dir = text.lines().nth(4).map(PathBuf::from);
    if let Some(pid) = pid
        && is_server_of(pid, pgdata)
    {
        tracing::warn!(pid, pgdata = %pgdata.display(), "stopping the server of an earlier run");
        stop_orphan(pid, pgdata).await?;
    }
    wait_for_workers(pgdata).await?;
    if pid.is_some_and(lives) {
        remove_if_there(&path)?;
        for name in [".s.PGSQL.5432", ".s.PGSQL.5432.lock"] {
            remove_if_there(&sockets.join(name))?;
        }
    }
    if let Some(dir) = socket_dir.filter(|dir| super::socket::is_temporary(dir)) {
        // A leftover in the temporary folder: harmless if it stays.
        let _ = fs::remove_dir_all(dir);
    }
    Ok(())
}

/// Waits for the processes of a server that is gone: each ends by itself when it notices.
async fn wait_for_workers(pgdata: &Path) -> Result<(), EmbeddedError> {
    let deadline = Instant::now() + IMMEDIATE_STOP;
    while let Some(pid) = worker_of(pgdata) {
        if Instant::now() >= deadline {
            return Err(EmbeddedError::Orphan {
                pid,
                pgdata: pgdata.to_owned(),
                waited: IMMEDIATE_STOP,
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A process called `postgres` that works in the data folder, if `/proc` shows one.
fn worker_of(pgdata: &Path) -> Option<i32> {
    fs::read_dir("/proc")
        .ok()?
        .filter_map(Result::ok)
        .find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            (name.starts_with("postgres") && is_server_of(pid, pgdata)).then_some(pid)
        })
}

async fn stop_orphan(pid: i32, pgdata: &Path) -> Result<(), EmbeddedError> {
    let stages = [
        (Signal::SIGINT, FAST_STOP),
        (Signal::SIGQUIT, IMMEDIATE_STOP),
    ];
    for (signal, wait) in stages {
        if !send(pid, signal)? {
            return Ok(());
        }
        let deadline = Instant::now() + wait;
        while Instant::now() < deadline {
            if !is_server_of(pid, pgdata) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Err(EmbeddedError::Orphan {
        pid,
        pgdata: pgdata.to_owned(),
        waited: FAST_STOP + IMMEDIATE_STOP,
    })
}

/// Sends a signal; `false` if there is no such process any more.
pub(super) fn send(pid: i32, signal: Signal) -> Result<bool, EmbeddedError> {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(source) => Err(EmbeddedError::Signal {
            signal: signal.as_str(),
            pid,
            source,
        }),
    }
}

/// Whether the process lives and is a server on this data folder.
///
/// A server works in its data folder, which `/proc` shows. Without `/proc` a living process is
/// taken for the server.
fn is_server_of(pid: i32, pgdata: &Path) -> bool {
    if !lives(pid) {
        return false;
    }
    let process = PathBuf::from(format!("/proc/{pid}"));
    if !process.exists() {
        return !Path::new("/proc/self").exists();
    }
    match fs::read_link(process.join("cwd")) {
        Ok(cwd) => fs::canonicalize(pgdata).is_ok_and(|pgdata| pgdata == cwd),
        // A process that has ended but was not yet waited for has no working folder.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(_) => fs::read(process.join("cmdline")).is_ok_and(|cmdline| {
            let pgdata = pgdata.as_os_str().as_encoded_bytes();
            cmdline
                .split(|byte| *byte == 0)
                .any(|argument| argument == pgdata)
        }),
    }
}

fn lives(pid: i32) -> bool {
    matches!(kill(Pid::from_raw(pid), None), Ok(()) | Err(Errno::EPERM))
}

fn remove_if_there(path: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Opens the log for the server to append to.
pub(super) fn open_log(path: &Path) -> Result<Stdio, EmbeddedError> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        let old = path.with_extension("log.1");
        fs::rename(path, &old).map_err(file("rename", path))?;
    }
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map_err(file("open", path))?;
    Ok(Stdio::from(log))
}

/// The last 20 lines of the log, or a word about why there are none.
pub(super) fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut log = File::open(log)?;
        let length = log.metadata()?.len();
        log.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        log.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(last_lines(&String::from_utf8_lossy(&bytes), 20))
    };
    read().unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_twenty_lines() {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("log");
        let text: Vec<String> = (1..=50).map(|line| format!("line {line}")).collect();
        fs::write(&log, text.join("\n")).unwrap();
        let tail = tail(&log);
        assert_eq!(tail.lines().count(), 20);
        assert!(
            tail.starts_with("line 31") && tail.ends_with("line 50"),
            "{tail}"
        );
    }

    #[test]
    fn a_second_lock_is_refused_with_the_holder() {
        let temp = tempfile::tempdir().unwrap();
        let first = lock(temp.path()).unwrap();
        let error = lock(temp.path()).err().unwrap();
        let ours = std::process::id();
        assert!(matches!(error, EmbeddedError::Locked { pid: Some(pid), .. } if pid == ours));
        let child = first.inherited();
        drop(first);
        lock(temp.path()).unwrap();
        drop(child);
    }

    #[test]
    fn the_major_version_is_read() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(major_of(temp.path()).unwrap(), None);
        fs::write(temp.path().join("PG_VERSION"), "15\n").unwrap();
        assert_eq!(major_of(temp.path()).unwrap(), Some(15));
        fs::write(temp.path().join("PG_VERSION"), "?").unwrap();
        assert!(matches!(
            major_of(temp.path()).unwrap_err(),
            EmbeddedError::ClusterVersion { .. }
        ));
    }

    #[tokio::test]
    async fn a_strangers_process_id_is_no_server() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("postmaster.pid");
        fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        clear_orphan(temp.path(), temp.path()).await.unwrap();
        assert!(!path.exists());
    }
}
