//! The folder of the unix socket, and the URL that leads to it.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    SUPERUSER,
    account::{Account, private_folder},
    error::{EmbeddedError, file},
};

/// The longest path of a socket that every system takes: Linux 107 bytes, macOS and BSD 103.
const PATH_BYTES_MAX: usize = 103;
/// What Postgres puts behind the folder's path; the port is only part of the name.
const SOCKET_NAME: &str = "/.s.PGSQL.5432";
/// How temporary folders of sockets are called.
const PREFIX: &str = "stxworx-pg-";

/// The folder that holds the socket.
#[derive(Debug)]
pub(super) struct SocketDir {
    pub(super) path: PathBuf,
    /// Removes the folder when it lies in a temporary place.
    _temporary: Option<TempDir>,
}

impl SocketDir {
    /// `home/sock`; if that is too long for a socket, a new folder under `XDG_RUNTIME_DIR` or `/tmp`.
    pub(super) fn make(home: &Path, account: Option<Account>) -> Result<Self, EmbeddedError> {
        let path = home.join("sock");
        if fits(&path) {
            private_folder(&path, account)?;
            return Ok(Self {
                path,
                _temporary: None,
            });
        }
        // Another account cannot enter our own runtime folder.
        let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let base = runtime
            .filter(|dir| account.is_none() && dir.is_absolute() && dir.is_dir())
            .filter(|dir| fits(&dir.join(format!("{PREFIX}123456"))))
            .unwrap_or_else(|| PathBuf::from("/tmp"));
        let temporary = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&base)
            .map_err(file("make a folder in", &base))?;
        private_folder(temporary.path(), account)?;
        Ok(Self {
            path: temporary.path().to_owned(),
            _temporary: Some(temporary),
        })
    }
}

/// Whether a folder is one of our temporary ones.
pub(super) fn is_temporary(dir: &Path) -> bool {
    let ours = dir
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    ours && fs::symlink_metadata(dir)
        .is_ok_and(|metadata| metadata.is_dir() && metadata.mode() & 0o077 == 0)
}

fn fits(dir: &Path) -> bool {
    // A URL is text, and Postgres splits its list of folders at commas.
    dir.to_str().is_some_and(|dir| {
        dir.len() + SOCKET_NAME.len() <= PATH_BYTES_MAX && !dir.contains([',', '"', '@'])
    })
}

/// A URL that sqlx and libpq both understand, complete so that no `PG*` variable can change it.
pub(super) fn url(socket_dir: &Path, database: &str) -> String {
    let host: String = socket_dir
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                char::from(*byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("postgres:///{database}?host={host}&port=5432&user={SUPERUSER}&sslmode=disable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_folder_gets_a_short_socket() {
        let temp = tempfile::tempdir().unwrap();
        let near = SocketDir::make(temp.path(), None).unwrap();
        assert_eq!(near.path, temp.path().join("sock"));
        let long = temp.path().join("x".repeat(120));
        let far = SocketDir::make(&long, None).unwrap();
        assert!(fits(&far.path) && is_temporary(&far.path), "{:?}", far.path);
        let path = far.path.clone();
        drop(far);
        assert!(!path.exists());
    }

    #[test]
    fn the_url_is_escaped() {
        assert_eq!(
            url(Path::new("/a b/ü+&%"), "db"),
            "postgres:///db?host=/a%20b/%C3%BC%2B%26%25&port=5432&user=stxworx&sslmode=disable"
        );
    }
}
