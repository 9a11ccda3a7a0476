//! Finds PostgreSQL's programs on this machine.

use std::{
    env,
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::error::EmbeddedError;

/// The oldest major version of PostgreSQL that the schema works with.
pub const MINIMUM_MAJOR: u32 = 15;

/// The version of a PostgreSQL program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The major version: data folders of different majors cannot be exchanged.
    pub major: u32,
    /// The minor version, 0 for a development or beta build.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Version {
    /// Reads what `postgres --version` prints, e.g. `postgres (PostgreSQL) 15.18 (Debian ...)`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let after = text.split_once("(PostgreSQL)")?.1.trim_start();
        let number = after.split_whitespace().next()?;
        let digits = number
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(number.len());
        let (major, rest) = number.split_at(digits);
        let minor = rest.strip_prefix('.').map_or("", |minor| {
            let end = minor
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(minor.len());
            &minor[..end]
        });
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().unwrap_or(0),
        })
    }
}

/// An installation of PostgreSQL that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder with `postgres` and `initdb`, with every symbolic link resolved.
    pub bin_dir: PathBuf,
    /// The folder that must be kept whole for the programs to find their libraries and files.
    pub root: PathBuf,
    /// What `postgres --version` said.
    pub version: Version,
}

/// Where to look. [`Search::from_env`] is what a program uses; tests fill in their own.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// `PG_BIN_DIR`: if it is set, it is the only place.
    pub bin_dir: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
    /// Where the distribution keeps one folder per major version (`/usr/lib/postgresql`).
    pub distribution: Option<PathBuf>,
    /// Folders that may hold a `.pg` folder, filled by `make setup`.
    pub local_roots: Vec<PathBuf>,
}

impl Search {
    /// `PG_BIN_DIR`, `PATH`, `/usr/lib/postgresql/*/bin`, and `.pg` in the working folder and in
    /// the project that holds the working folder or the running program.
    ///
    /// `STXWORX_IGNORE_SYSTEM_PG=1` leaves out `PATH` and the distribution's folder, so that
    /// `.pg` can be tried on a machine that has PostgreSQL.
    #[must_use]
    pub fn from_env() -> Self {
        let ignore_system = env::var_os("STXWORX_IGNORE_SYSTEM_PG").is_some_and(|v| v == "1");
        let mut local_roots = Vec::new();
        let exe = env::current_exe().ok();
        if let Ok(cwd) = env::current_dir() {
            local_roots.push(cwd.clone());
            local_roots.extend(project_roots(&cwd));
        }
        if let Some(folder) = exe.as_deref().and_then(Path::parent) {
            local_roots.push(folder.to_owned());
            local_roots.extend(project_roots(folder));
        }
        let mut unique = Vec::new();
        for root in local_roots {
            if !unique.contains(&root) {
                unique.push(root);
            }
        }
        Self {
            bin_dir: env::var_os("PG_BIN_DIR")
                .filter(|v| !v.is_empty())
                .map(PathBuf::from),
            path: env::var_os("PATH").filter(|_| !ignore_system),
            distribution: (!ignore_system).then(|| PathBuf::from("/usr/lib/postgresql")),
            local_roots: unique,
        }
    }

    /// The first usable installation, in the order of the fields.
    ///
    /// `cluster` is the major version of an existing data folder: installations of another major
    /// version are passed over. A candidate that is too old or broken is passed over as well, and
    /// named in the error if nothing else is found; only `PG_BIN_DIR` has no second choice.
    ///
    /// # Errors
    /// [`EmbeddedError::BinDirUnusable`], [`EmbeddedError::BinariesNotFound`], or
    /// [`EmbeddedError::MajorVersion`] when only other major versions are installed.
    pub fn find(&self, cluster: Option<(u32, &Path)>) -> Result<Binaries, EmbeddedError> {
        let mut searched = Vec::new();
        let mut other_majors = Vec::new();
        for (place, bin_dir, root) in self.candidates(&mut searched) {
            match inspect(&bin_dir, root) {
                Ok(found) if cluster.is_none_or(|(major, _)| major == found.version.major) => {
                    return Ok(found);
                }
                Ok(found) => {
                    other_majors.push(format!("{} in {}", found.version, found.bin_dir.display()));
                }
                Err(reason) if self.bin_dir.is_some() => {
                    return Err(EmbeddedError::BinDirUnusable {
                        path: bin_dir,
                        reason,
                    });
                }
                Err(reason) => searched.push(format!("{place}: {reason}")),
            }
        }
        match cluster {
            Some((cluster, pgdata)) if !other_majors.is_empty() => {
                Err(EmbeddedError::MajorVersion {
                    pgdata: pgdata.to_owned(),
                    cluster,
                    found: other_majors.join(", "),
                })
            }
            _ => Err(EmbeddedError::BinariesNotFound {
                minimum: MINIMUM_MAJOR,
                searched,
            }),
        }
    }

    /// Folders worth inspecting, best first: (name of the place, folder, root of installation).
    fn candidates(&self, searched: &mut Vec<String>) -> Vec<(String, PathBuf, Option<PathBuf>)> {
        if let Some(bin_dir) = &self.bin_dir {
            return vec![("PG_BIN_DIR".to_owned(), bin_dir.clone(), None)];
        }
        let mut found = Vec::new();
        match &self.path {
            Some(path) => match env::split_paths(path).find(|dir| is_file(&dir.join("postgres"))) {
                Some(dir) => found.push((format!("PATH ({})", dir.display()), dir, None)),
                None => searched.push("PATH: no postgres".to_owned()),
            },
            None => searched.push("PATH: not searched".to_owned()),
        }
        if let Some(distribution) = &self.distribution {
            let majors = majors_in(distribution);
            if majors.is_empty() {
                searched.push(format!("{}/*/bin: nothing", distribution.display()));
            }
            for (_, dir) in majors {
                found.push((dir.display().to_string(), dir, None));
            }
        } else {
            searched.push("/usr/lib/postgresql/*/bin: not searched".to_owned());
        }
        for root in &self.local_roots {
            let pg = root.join(".pg");
            if is_file(&pg.join("bin/postgres")) {
                found.push((pg.display().to_string(), pg.join("bin"), Some(pg)));
            } else {
                searched.push(format!("{}: nothing", pg.display()));
            }
        }
        found
    }
}

/// The folders at or above `start` that are the root of a cargo workspace.
fn project_roots(start: &Path) -> Vec<PathBuf> {
    start
        .ancestors()
        .filter(|dir| dir.join("Cargo.lock").is_file())
        .map(Path::to_owned)
        .collect()
}

/// `/usr/lib/postgresql/<major>/bin`, the highest major first.
fn majors_in(distribution: &Path) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(distribution) else {
        return Vec::new();
    };
    let mut majors: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.parse().ok()?;
            let bin_dir = entry.path().join("bin");
            is_file(&bin_dir.join("postgres")).then_some((major, bin_dir))
        })
        .collect();
    majors.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    majors
}

/// Checks one folder. The error says what is wrong with it.
///
/// A `postgres` on PATH is often a symbolic link into the real installation; the programs find
/// their `share` folder from where they really are, so links are resolved first.
fn inspect(bin_dir: &Path, root: Option<PathBuf>) -> Result<Binaries, String> {
    let postgres =
        fs::canonicalize(bin_dir.join("postgres")).map_err(|error| format!("postgres: {error}"))?;
    let real_dir = postgres
        .parent()
        .ok_or("postgres has no folder")?
        .to_owned();
    if !is_file(&real_dir.join("initdb")) {
        return Err(format!("{} has postgres but no initdb", real_dir.display()));
    }
    let output = Command::new(&postgres)
        .arg("--version")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} cannot be run: {error}", postgres.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = Version::parse(&text).ok_or_else(|| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        format!(
            "{} --version said {:?}",
            postgres.display(),
            (text.trim(), stderr.trim())
        )
    })?;
    if version.major < MINIMUM_MAJOR {
        return Err(format!("{version} is older than {MINIMUM_MAJOR}"));
    }
    let root = root
        .and_then(|root| fs::canonicalize(root).ok())
        .filter(|root| real_dir.starts_with(root))
        .or_else(|| real_dir.parent().map(Path::to_owned))
        .unwrap_or_else(|| real_dir.clone());
    Ok(Binaries {
        bin_dir: real_dir,
        root,
        version,
    })
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn fake(bin_dir: &Path, version: &str) {
        fs::create_dir_all(bin_dir).unwrap();
        for program in ["postgres", "initdb"] {
            let path = bin_dir.join(program);
            fs::write(
                &path,
                format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n"),
            )
            .unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn versions_are_read() {
        let cases = [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some((15, 18)),
            ),
            ("postgres (PostgreSQL) 18.4", Some((18, 4))),
            ("postgres (PostgreSQL) 19beta2", Some((19, 0))),
            ("postgres (PostgreSQL) 20devel", Some((20, 0))),
            ("postgres (PostgreSQL) 9.6.24", Some((9, 6))),
            ("postgres (PostgreSQL) ", None),
            ("mysqld Ver 8.0", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(major, minor)| Version { major, minor });
            assert_eq!(Version::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_order_is_bin_dir_path_distribution_local() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fake(&at("explicit"), "16.1");
        fake(&at("real/bin"), "17.2");
        fs::create_dir(at("links")).unwrap();
        symlink(at("real/bin/postgres"), at("links/postgres")).unwrap();
        fake(&at("dist/9.6/bin"), "9.6.24");
        fake(&at("dist/15/bin"), "15.3");
        fake(&at("dist/18/bin"), "18.0");
        fake(&at("project/.pg/bin"), "18.4");

        let mut search = Search {
            bin_dir: Some(at("explicit")),
            path: Some(env::join_paths([at("nothing"), at("links")]).unwrap()),
            distribution: Some(at("dist")),
            local_roots: vec![at("empty"), at("project")],
        };
        let bin_dir = |search: &Search| search.find(None).unwrap().bin_dir;
        assert_eq!(bin_dir(&search), at("explicit").canonicalize().unwrap());
        search.bin_dir = None;
        assert_eq!(
            bin_dir(&search),
            at("real/bin").canonicalize().unwrap(),
            "links are resolved"
        );
        search.path = Some(at("nothing").into_os_string());
        assert_eq!(
            bin_dir(&search),
            at("dist/18/bin").canonicalize().unwrap(),
            "highest first"
        );
        search.distribution = None;
        let local = search.find(None).unwrap();
        assert_eq!(local.root, at("project/.pg").canonicalize().unwrap());
        assert_eq!(
            local.version,
            Version {
                major: 18,
                minor: 4
            }
        );
    }

    #[test]
    fn an_existing_cluster_decides_the_major_version() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fake(&at("dist/15/bin"), "15.3");
        fake(&at("dist/18/bin"), "18.0");
        let search = Search {
            distribution: Some(at("dist")),
            ..Search::default()
        };
        let pgdata = at("pgdata");
        assert_eq!(search.find(Some((15, &pgdata))).unwrap().version.major, 15);
        let error = search.find(Some((17, &pgdata))).unwrap_err();
        assert!(
            matches!(&error, EmbeddedError::MajorVersion { cluster: 17, .. }),
            "{error}"
        );
    }

    #[test]
    fn each_place_is_named_when_nothing_is_found() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fake(&at("old"), "14.9");
        let search = Search {
            bin_dir: None,
            path: Some(at("old").into_os_string()),
            distribution: Some(at("dist")),
            local_roots: vec![at("project")],
        };
        let text = search.find(None).unwrap_err().to_string();
        for part in [
            "14.9 is older than 15",
            "dist/*/bin",
            "project/.pg",
            "make setup",
        ] {
            assert!(text.contains(part), "{part:?} not in {text}");
        }
        let search = Search {
            bin_dir: Some(at("old")),
            ..search
        };
        assert!(matches!(
            search.find(None).unwrap_err(),
            EmbeddedError::BinDirUnusable { reason, .. } if reason.contains("older")
        ));
    }
}
