//! The image without a container engine: the file system that the Dockerfile's last stage makes, with the program of this
//! build, and the daemon started in it as the image would start it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::net::{TcpListener, UnixStream};

use crate::support::db::TestDb;
use crate::support::{eventually, run};
use crate::tools::{Daemon, get, output, stderr, stdout};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Instructions of the last stage, continued lines joined.
fn last_stage() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    let lines = text.lines().filter(|l| !l.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let all = joined.lines().filter_map(|l| l.trim().split_once(' '));
    let all: Vec<_> = all
        .map(|(a, b)| (a.to_owned(), b.trim().to_owned()))
        .collect();
    let from = all.iter().rposition(|(name, _)| name == "FROM").unwrap();
    all[from..].to_vec()
}

fn json(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// What the last stage says.
struct Image {
    files: PathBuf,
    environment: BTreeMap<String, String>,
    user: String,
    start: Vec<String>,
    health: Vec<String>,
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    }
}

/// Libraries that a program is linked with, and its loader: what the base image brings.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let said = Command::new("ldd").arg(program).output().expect("ldd");
    let said = String::from_utf8(said.stdout).unwrap();
    let words = said.split_whitespace().filter(|w| w.starts_with('/'));
    words.map(PathBuf::from).collect()
}

fn assemble(files: &Path) -> Image {
    let program = Path::new(env!("CARGO_BIN_EXE_stxworx"));
    let mut image = Image {
        files: files.to_owned(),
        environment: BTreeMap::new(),
        user: String::new(),
        start: Vec::new(),
        health: Vec::new(),
    };
    let below = |path: &str| files.join(path.trim_start_matches('/'));
    for (name, value) in last_stage() {
        match name.as_str() {
            "FROM" => {
                for library in libraries(program) {
                    let library = library.display().to_string();
                    copy(Path::new(&library), &below(&library));
                }
                for folder in ["/tmp", "/proc", "/dev", "/run"] {
                    std::fs::create_dir_all(below(folder)).unwrap();
                }
            }
            "RUN" => {
                assert!(value.contains("ca-certificates"), "{value}");
                let bundle = Path::new("/etc/ssl/certs/ca-certificates.crt");
                if bundle.exists() {
                    copy(bundle, &below("/etc/ssl/certs/ca-certificates.crt"));
                }
                let words: Vec<&str> = value.split_whitespace().collect();
                let uid = words[words.iter().position(|w| *w == "--uid").unwrap() + 1];
                let line = format!("stxworx:x:{uid}:{uid}::/nonexistent:/usr/sbin/nologin\n");
                std::fs::create_dir_all(below("/etc")).unwrap();
                std::fs::write(below("/etc/passwd"), line).unwrap();
            }
            "COPY" => {
                let words: Vec<&str> = value.split_whitespace().collect();
                let [stage, from, to] = words.as_slice() else {
                    panic!("{value}")
                };
                assert_eq!(*stage, "--from=build");
                let from = match *from {
                    "/out/stxworx" => program.to_owned(),
                    path => root().join(path.strip_prefix("/src/").unwrap()),
                };
                copy(&from, &below(to));
            }
            "ENV" => {
                let pairs = value.split_whitespace().map(|w| w.split_once('=').unwrap());
                image
                    .environment
                    .extend(pairs.map(|(a, b)| (a.to_owned(), b.to_owned())));
            }
            "USER" => image.user = value,
            "ENTRYPOINT" | "CMD" => image.start.extend(json(&value)),
            "HEALTHCHECK" => image.health = json(value.split_once("CMD").unwrap().1),
            "EXPOSE" | "WORKDIR" | "STOPSIGNAL" => {}
            other => panic!("{other} is new: say here what it does"),
        }
    }
    image
}

/// How a program can be started so that it sees nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A file system of its own that cannot be written, as another account.
    ReadOnly,
    /// From the folder, with nothing of this environment.
    Prefix,
}

impl Image {
    fn command(&self, way: Way, words: &[String], more: &[(&str, &str)]) -> Command {
        let files = self.files.display().to_string();
        let mut command = match way {
            Way::ReadOnly => {
                let mut command = Command::new("unshare");
                let script = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && mount -t tmpfs tmpfs \"$0/tmp\" \
                     && chmod 1777 \"$0/tmp\" && user=$1 && root=$0 && shift \
                     && exec chroot --userspec=\"$user\" \"$root\" /usr/local/bin/\"$@\"";
                command.args(["--mount", "sh", "-c", script, &files, &self.user]);
                command.args(words);
                command
            }
            Way::Prefix => {
                let mut command = Command::new(self.files.join("usr/local/bin").join(&words[0]));
                command.args(&words[1..]);
                command
            }
        };
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        command.envs(&self.environment).envs(more.iter().copied());
        command.stdin(std::process::Stdio::null());
        command
    }

    /// The best way that this machine permits.
    fn way(&self) -> Way {
        let version = ["stxworx".to_owned(), "--version".to_owned()];
        let tried = self.command(Way::ReadOnly, &version, &[]).output();
        match tried {
            Ok(done) if done.status.success() => Way::ReadOnly,
            other => {
                eprintln!(
                    "no file system of its own is permitted here, the program runs from its folder: {other:?}"
                );
                Way::Prefix
            }
        }
    }
}

/// A way by TCP to a database that has a socket only.
async fn by_tcp(db: &TestDb) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let (_, query) = db.url.split_once('?').unwrap();
    let folder = query
        .split('&')
        .find_map(|o| o.strip_prefix("host="))
        .unwrap();
    let socket = Path::new(&folder.replace("%2F", "/")).join(".s.PGSQL.5432");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                let mut server = UnixStream::connect(socket).await.unwrap();
                // Either side may hang up.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, task)
}

#[test]
fn the_image_starts_on_a_file_system_that_it_cannot_write() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let image = assemble(folder.path());
        let way = image.way();
        assert_eq!(image.start, ["stxworx", "run"]);
        assert_eq!(image.user, "10001:10001");

        let dump = [
            "stxworx",
            "--config",
            "/etc/stxworx/mainnet.toml",
            "config",
            "dump",
        ]
        .map(String::from);
        let mut dump = dump.to_vec();
        if way == Way::Prefix {
            dump[2] = folder
                .path()
                .join("etc/stxworx/mainnet.toml")
                .display()
                .to_string();
        }
        let dumped = output(image.command(way, &dump, &[])).await;
        assert!(dumped.status.success(), "{}", stderr(&dumped));
        assert!(
            stdout(&dumped).contains("network = \"mainnet\""),
            "{}",
            stdout(&dumped)
        );

        let db = TestDb::new().await;
        let (address, proxy) = by_tcp(&db).await;
        let name = db.text("select current_database()::text").await.unwrap();
        let url = format!("postgres://stxworx@{address}/{name}?sslmode=disable");
        let mut more = vec![("DATABASE_URL", url.as_str())];
        for name in [
            "STXWORX_OBSERVER_LISTEN",
            "STXWORX_API_LISTEN",
            "STXWORX_METRICS_LISTEN",
        ] {
            assert!(image.environment[name].starts_with("0.0.0.0:"), "{name}");
            more.push((name, "127.0.0.1:0"));
        }
        let mut daemon = Daemon::spawn(image.command(way, &image.start, &more));
        // Its log is JSON, as the image's environment says.
        let ready = daemon.says("\"ready\"").await;
        let line: serde_json::Value =
            serde_json::from_str(&ready).unwrap_or_else(|e| panic!("{e}: {ready}"));
        let api = line["fields"]["api"].as_str().unwrap();
        let api: SocketAddr = api
            .trim_start_matches("Some(")
            .trim_end_matches(')')
            .parse()
            .unwrap();
        assert_eq!(get(api, "/health/live").await.status(), 200);

        let health = eventually("a healthy container", || async {
            let done = output(image.command(way, &image.health, &more)).await;
            if done.status.success() {
                Ok(stdout(&done))
            } else {
                Err(stderr(&done))
            }
        })
        .await;
        assert!(health.contains("\"finality_burn_blocks\""), "{health}");
        daemon.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(daemon.ended().await, Some(0), "{:?}", daemon.lines());
        println!(
            "{way:?}, {} files",
            std::fs::read_dir(folder.path()).unwrap().count()
        );
        proxy.abort();
        db.drop().await;
    });
}

/// What a build compiles in has to be in its context.
#[test]
fn the_context_of_the_build_has_what_the_sources_include() {
    let ignore = std::fs::read_to_string(root().join(".dockerignore")).unwrap();
    let sent: Vec<&str> = ignore.lines().filter_map(|l| l.strip_prefix('!')).collect();
    let mut folders = vec![root().to_owned()];
    let mut included = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir()
                && ![
                    "target",
                    "node_modules",
                    ".git",
                    ".pg",
                    ".data",
                    "fuzz",
                    "tests",
                    "benches",
                ]
                .contains(&name)
            {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && name != "tests.rs" {
                let text = std::fs::read_to_string(&path).unwrap();
                for part in text
                    .split("include_str!(")
                    .chain(text.split("include_bytes!("))
                    .skip(1)
                {
                    let Some(file) = part
                        .trim_start()
                        .strip_prefix('"')
                        .and_then(|p| p.split('"').next())
                    else {
                        continue;
                    };
                    let Ok(file) = path.parent().unwrap().join(file).canonicalize() else {
                        continue;
                    };
                    let inside = file
                        .strip_prefix(root().canonicalize().unwrap())
                        .unwrap()
                        .to_owned();
                    let top = inside
                        .components()
                        .next()
                        .unwrap()
                        .as_os_str()
                        .to_str()
                        .unwrap();
                    assert!(
                        sent.contains(&top),
                        "{} includes {}",
                        path.display(),
                        inside.display()
                    );
                    included += 1;
                }
            }
        }
    }
    assert!(included > 10, "{included}");
}
