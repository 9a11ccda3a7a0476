//! Keys at rest and on another machine, by the real binary.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stxworx_reconciler::mint::ports::{PortError, Signer as _};
use stxworx_reconciler::mint::signer::{
    AnySigner, KeyFile, Passphrase, RemoteError, RemoteOptions, RemoteSigner, SharedSecret,
};
use tempfile::TempDir;

use super::scripted::{Act, serve};
use super::{bounds, mint, minter, noop};
use crate::support::run;
use crate::tools::{Daemon, output, stderr, stdout, stxworx};

const WORDS: &str = "correct horse battery staple";
const SECRET: &str = "5d1c0ffee5d1c0ffee5d1c0ffee5d1c0";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file that only its owner reads.
    fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_key_is_made_shown_and_rotated_and_never_printed() {
    run(async {
        let folder = Folder::new();
        let words = folder.secret("words", &format!("{WORDS}\n"));
        let secret = hex::encode(
            stxworx_clarity::market::Actor::of("minter")
                .secret
                .secret_bytes(),
        );
        let digits = folder.secret("digits", &format!("{secret}01\n"));
        let (file, next) = (folder.path("minter.key"), folder.path("next.key"));
        let mut printed = String::new();
        let mut key = async |arguments: &[&str], expected: i32| {
            let arguments: Vec<&str> = ["mints", "key"].iter().chain(arguments).copied().collect();
            let done = output(stxworx(&arguments)).await;
            let said = stdout(&done) + &stderr(&done);
            assert_eq!(done.status.code(), Some(expected), "{arguments:?}: {said}");
            printed.push_str(&said);
            said
        };
        let words = ["--passphrase-file", text(&words)];
        let from = ["--secret-file", text(&digits)];
        let made = key(&[&["new", text(&file)][..], &words, &from].concat(), 0).await;
        let address = stxworx_clarity::market::Actor::of("minter")
            .address
            .to_string();
        assert!(made.contains(&address), "{made}");
        // A file that is there stays.
        let again = key(&[&["new", text(&file)][..], &words].concat(), 1).await;
        assert!(again.contains("never replaced"), "{again}");
        let shown = key(&["show", text(&file)], 0).await;
        assert!(shown.contains(&address), "{shown}");
        key(&[&["show", text(&file), "--open"][..], &words].concat(), 0).await;
        // Nobody at a terminal, and no file.
        let unasked = key(&["show", text(&file), "--open"], 1).await;
        assert!(unasked.contains("--passphrase-file"), "{unasked}");
        let wrong = folder.secret("wrong", "something else entirely");
        let wrong = [
            "show",
            text(&file),
            "--open",
            "--passphrase-file",
            text(&wrong),
        ];
        assert!(key(&wrong, 1).await.contains("another one"));

        let new_words = folder.secret("new", "another passphrase of mine");
        let new_words = ["--new-passphrase-file", text(&new_words)];
        let rotate = ["rotate", text(&file), text(&next)];
        let said = key(&[&rotate[..], &new_words].concat(), 0).await;
        assert!(
            said.contains("set-minter") && said.contains(&address),
            "{said}"
        );
        let same = folder.path("same.key");
        let keep = ["rotate", text(&file), text(&same), "--keep-key"];
        key(&[&keep[..], &words, &new_words].concat(), 0).await;
        let kept = KeyFile::read(&same).unwrap();
        let kept = kept.open(&Passphrase::new("another passphrase of mine".to_owned()));
        assert_eq!(kept.unwrap().public(), minter().public());
        assert_ne!(KeyFile::read(&next).unwrap().public(), minter().public());

        // A passphrase that everybody reads is none.
        let open = folder.secret("open", WORDS);
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
        let open = [
            "show",
            text(&file),
            "--open",
            "--passphrase-file",
            text(&open),
        ];
        assert!(key(&open, 1).await.contains("chmod"));
        assert!(!printed.contains(&secret) && !printed.contains(WORDS));
    });
}

fn options(url: String, secret: &str) -> RemoteOptions {
    RemoteOptions {
        url,
        secret: SharedSecret::new(secret.to_owned()).unwrap(),
        authorities: None,
        identity: None,
        timeout: Duration::from_secs(10),
    }
}

#[test]
fn a_signer_on_another_machine_signs_what_is_on_its_list_and_no_more_than_it_may() {
    run(async {
        let folder = Folder::new();
        let (words, shared) = (
            folder.secret("words", WORDS),
            folder.secret("shared", SECRET),
        );
        let digits = hex::encode(
            stxworx_clarity::market::Actor::of("minter")
                .secret
                .secret_bytes(),
        );
        let digits = folder.secret("digits", &digits);
        let file = folder.path("minter.key");
        let made = output(stxworx(&[
            "mints",
            "key",
            "new",
            text(&file),
            "--passphrase-file",
            text(&words),
            "--secret-file",
            text(&digits),
        ]))
        .await;
        assert!(made.status.success(), "{}", stderr(&made));
        let badges = bounds().badges.to_string();
        let mut daemon = Daemon::spawn(stxworx(&[
            "mints",
            "signer",
            "--listen",
            "127.0.0.1:0",
            "--key-file",
            text(&file),
            "--passphrase-file",
            text(&words),
            "--secret-file",
            text(&shared),
            "--badges",
            &badges,
            "--fee-cap",
            "5000",
            "--per-hour",
            "2",
        ]));
        let ready = daemon.says("signing for").await;
        let address = ready.split(" on ").nth(1).unwrap().split(':').take(2);
        let url = format!("http://{}", address.collect::<Vec<_>>().join(":"));

        let remote = RemoteSigner::connect(options(url.clone(), SECRET), bounds())
            .await
            .unwrap();
        let remote = AnySigner::Remote(remote);
        assert_eq!(remote.address(), minter().address());
        // The bytes are those that the key would have made here.
        let recipient = stxworx_clarity::market::Actor::of("freelancer-1")
            .address
            .to_string();
        let wanted = mint(&recipient, 1, 0, 400);
        let there = remote.sign(&wanted).await.unwrap();
        assert_eq!(there, minter().sign(&wanted).await.unwrap());
        // Above its own cap, though below ours: it refuses, and nothing is counted.
        let dear = remote.sign(&noop(1, 5_001)).await.unwrap_err();
        assert!(matches!(dear, PortError::Unusable { .. }), "{dear:?}");
        assert!(dear.to_string().contains("403"), "{dear}");
        remote.sign(&noop(1, 400)).await.unwrap();
        let full = remote.sign(&noop(2, 400)).await.unwrap_err();
        assert!(matches!(full, PortError::Passing { .. }), "{full:?}");
        // The same again is no new one.
        remote.sign(&wanted).await.unwrap();

        let stranger = options(url, "another secret of thirty-two chars");
        let refused = RemoteSigner::connect(stranger, bounds()).await.unwrap_err();
        assert!(
            matches!(refused, RemoteError::Impostor { status: 401 }),
            "{refused:?}"
        );
        assert_eq!(daemon.interrupt().await, Some(0));
        let log = daemon.lines().join("\n");
        assert!(
            log.contains("nonce 0") && log.contains("refused (401)"),
            "{log}"
        );
        for secret in [WORDS, SECRET, &std::fs::read_to_string(&digits).unwrap()] {
            assert!(!log.contains(secret), "{log}");
        }
    });
}

#[test]
fn whoever_answers_in_the_signers_place_is_found_out() {
    run(async {
        let public = hex::encode(minter().public());
        let good = format!("{{\"public_key\":\"{public}\"}}");
        for (what, act, impostor) in [
            ("an answer without the secret", Act::Say(200, good), true),
            ("a page", Act::Say(200, "<html>".to_owned()), true),
            ("a refusal", Act::Say(401, "{}".to_owned()), true),
            (
                "a proxy that is busy",
                Act::Say(503, "later".to_owned()),
                false,
            ),
            ("a connection that ends", Act::Raw(Vec::new()), false),
        ] {
            let at = serve(vec![act]).await;
            let options = options(format!("http://{at}"), SECRET);
            let refused = RemoteSigner::connect(options, bounds()).await.unwrap_err();
            assert_eq!(
                matches!(refused, RemoteError::Impostor { .. }),
                impostor,
                "{what}: {refused:?}"
            );
        }
        let nowhere = RemoteSigner::connect(options("signer".to_owned(), SECRET), bounds()).await;
        assert!(matches!(nowhere.unwrap_err(), RemoteError::Setup { .. }));
    });
}
