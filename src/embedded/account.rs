//! Who Postgres runs as, and folders that this account can reach.
//!
//! Postgres refuses to run as root. A root process therefore runs it as `postgres` or `nobody`,
//! and that account must be able to walk to the data folder and to the programs. A project under
//! `/root` (mode 0700) is out of its reach: the cluster is then kept under `/var/lib/stxworx`,
//! with a symbolic link to it in the data folder, and programs from `.pg` are copied there.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use nix::unistd::{Uid, User};
use tokio::process::Command;

use super::error::{EmbeddedError, file};

/// Where a root process keeps what the other account must reach when the project is out of reach.
const SHARED: &str = "/var/lib/stxworx";

/// The user and group that Postgres's programs run as, if not as ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// `None` if we are not root. A root process uses the owner of an existing cluster, else
    /// `postgres`, else `nobody`.
    pub(super) fn choose(pgdata: &Path) -> Result<Option<Self>, EmbeddedError> {
        let owner = fs::metadata(pgdata)
            .ok()
            .map(|metadata| (metadata.uid(), metadata.gid()));
        let ours = Uid::effective();
        if !ours.is_root() {
            return match owner {
                Some((owner, _)) if owner != ours.as_raw() => Err(EmbeddedError::NotOurs {
                    pgdata: pgdata.to_owned(),
                    owner,
                    ours: ours.as_raw(),
                }),
                _ => Ok(None),
            };
        }
        if let Some((uid, gid)) = owner.filter(|(uid, _)| *uid != 0) {
            return Ok(Some(Self { uid, gid }));
        }
        let names = ["postgres", "nobody"];
        for name in names {
            let user = User::from_name(name).map_err(|source| EmbeddedError::Account {
                name: name.to_owned(),
                source,
            })?;
            if let Some(user) = user.filter(|user| !user.uid.is_root()) {
                return Ok(Some(Self {
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                }));
            }
        }
        Err(EmbeddedError::NoAccount {
            tried: names.map(str::to_owned).to_vec(),
        })
    }
}

/// A command that runs as `account`, from `/`, without the PostgreSQL settings of our environment.
pub(super) fn command(program: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").stdin(std::process::Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PG")) {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C");
    if let Some(Account { uid, gid }) = account {
        command.uid(uid).gid(gid).env("HOME", "/");
    }
    command
}

/// Makes `path` a folder of the account, closed to everyone else (but root).
pub(super) fn private_folder(path: &Path, account: Option<Account>) -> Result<(), EmbeddedError> {
    fs::create_dir_all(path).map_err(file("make", path))?;
    if let Some(Account { uid, gid }) = account {
        chown(path, Some(uid), Some(gid)).map_err(file("change the owner of", path))?;
    }
    set_mode(path, 0o700)
}

/// The folder that holds `pgdata` and the socket: the data folder itself, or a private folder
/// under `/var/lib/stxworx` when the account cannot reach the data folder.
pub(super) fn home_for(
    data_dir: &Path,
    account: Option<Account>,
) -> Result<PathBuf, EmbeddedError> {
    let pgdata = data_dir.join("pgdata");
    if let Ok(target) = fs::read_link(&pgdata) {
        let home = target.parent().unwrap_or(&target).to_owned();
        if home.is_dir() {
            return Ok(home);
        }
        fs::remove_file(&pgdata).map_err(file("remove the dangling link", &pgdata))?;
    }
    let Some(account) = account else {
        return Ok(data_dir.to_owned());
    };
    if blocked_at(data_dir, account).as_deref() == Some(data_dir) {
        let mode = fs::metadata(data_dir)
            .map_err(file("read", data_dir))?
            .mode();
        set_mode(data_dir, mode & 0o777 | 0o011)?;
    }
    let Some(blocked) = blocked_at(data_dir, account) else {
        return Ok(data_dir.to_owned());
    };
    if pgdata.exists() {
        // It was made by a run that could reach it; moving it is not ours to decide.
        return Err(EmbeddedError::File {
            operation: "let the account that PostgreSQL runs as walk through",
            path: blocked,
            source: io::ErrorKind::PermissionDenied.into(),
        });
    }
    let home = tempfile::Builder::new()
        .prefix("cluster-")
        .tempdir_in(shared_folder()?)
        .map_err(file("make a folder in", SHARED))?
        .keep();
    private_folder(&home, Some(account))?;
    symlink(home.join("pgdata"), &pgdata).map_err(file("make the link", &pgdata))?;
    tracing::info!(
        data_dir = %data_dir.display(),
        blocked_at = %blocked.display(),
        home = %home.display(),
        "the database is kept outside the data folder, which PostgreSQL's account cannot reach",
    );
    Ok(home)
}

/// `root`, or a copy of it that the account can reach.
pub(super) fn reachable_copy(root: &Path, account: Account) -> Result<PathBuf, EmbeddedError> {
    if blocked_at(root, account).is_none() {
        return Ok(root.to_owned());
    }
    let modified = fs::metadata(root).and_then(|metadata| metadata.modified());
    let modified = modified.map_err(file("read", root))?;
    let age = modified
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let name: String = root
        .to_string_lossy()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let shared = shared_folder()?;
    let target = shared.join(format!("programs{name}-{age}"));
    if !target.exists() {
        let fresh = tempfile::Builder::new()
            .prefix("copying-")
            .tempdir_in(&shared)
            .map_err(file("make a folder in", &shared))?;
        copy_tree(root, fresh.path())?;
        set_mode(fresh.path(), 0o755)?;
        if let Err(source) = fs::rename(fresh.path(), &target)
            && !target.exists()
        {
            return Err(file("make", &target)(source));
        }
    }
    Ok(target)
}

fn shared_folder() -> Result<PathBuf, EmbeddedError> {
    let shared = PathBuf::from(SHARED);
    fs::create_dir_all(&shared).map_err(file("make", &shared))?;
    set_mode(&shared, 0o711)?;
    Ok(shared)
}

/// The first folder on the way to (and including) `path` that the account cannot walk through.
fn blocked_at(path: &Path, account: Account) -> Option<PathBuf> {
    let mut ancestors: Vec<&Path> = path.ancestors().collect();
    ancestors.reverse();
    ancestors
        .into_iter()
        .find(|folder| !can_walk(folder, account))
        .map(Path::to_owned)
}

fn can_walk(folder: &Path, account: Account) -> bool {
    let Ok(metadata) = fs::metadata(folder) else {
        return false;
    };
    let bit = if metadata.uid() == account.uid {
        0o100
    } else if metadata.gid() == account.gid {
        0o010
    } else {
        0o001
    };
    metadata.mode() & bit != 0
}

/// Copies a folder with its links; files become readable (and programs runnable) by everyone.
fn copy_tree(from: &Path, to: &Path) -> Result<(), EmbeddedError> {
    fs::create_dir_all(to).map_err(file("make", to))?;
    for entry in fs::read_dir(from).map_err(file("read", from))? {
        let entry = entry.map_err(file("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(file("read", &source))?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
            set_mode(&target, 0o755)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(&source).map_err(file("read the link", &source))?;
            symlink(link, &target).map_err(file("make the link", &target))?;
        } else {
            fs::copy(&source, &target).map_err(file("copy", &source))?;
            let mode = fs::metadata(&source).map_err(file("read", &source))?.mode();
            set_mode(&target, if mode & 0o111 == 0 { 0o644 } else { 0o755 })?;
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<(), EmbeddedError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(file("change the permissions of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocking_folder_is_the_outermost_one() {
        let temp = tempfile::tempdir().unwrap();
        let stranger = Account {
            uid: 54321,
            gid: 54321,
        };
        let inner = temp.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        set_mode(&inner, 0o755).unwrap();
        set_mode(&temp.path().join("a"), 0o700).unwrap();
        set_mode(temp.path(), 0o711).unwrap();
        assert_eq!(blocked_at(&inner, stranger), Some(temp.path().join("a")));
        set_mode(&temp.path().join("a"), 0o701).unwrap();
        assert_eq!(blocked_at(&inner, stranger), None);
        let metadata = fs::metadata(&inner).unwrap();
        let owner = Account {
            uid: metadata.uid(),
            gid: metadata.gid(),
        };
        set_mode(&inner, 0o011).unwrap();
        assert_eq!(
            blocked_at(&inner, owner),
            Some(inner.clone()),
            "the owner's bit decides"
        );
        set_mode(&inner, 0o700).unwrap();
    }

    #[test]
    fn a_tree_is_copied_with_links_and_modes() {
        let temp = tempfile::tempdir().unwrap();
        let from = temp.path().join("from");
        fs::create_dir_all(from.join("bin")).unwrap();
        fs::write(from.join("bin/program"), "x").unwrap();
        set_mode(&from.join("bin/program"), 0o700).unwrap();
        symlink("bin/program", from.join("link")).unwrap();
        let to = temp.path().join("to");
        copy_tree(&from, &to).unwrap();
        assert_eq!(
            fs::metadata(to.join("bin/program")).unwrap().mode() & 0o777,
            0o755
        );
        assert_eq!(
            fs::read_link(to.join("link")).unwrap(),
            Path::new("bin/program")
        );
    }
}
