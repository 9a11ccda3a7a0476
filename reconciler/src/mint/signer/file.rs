//! A key at rest: scrypt makes a key of the passphrase, XChaCha20-Poly1305 seals the secret with it.
//!
//! The file is JSON. What is not secret in it (the public key, the cost) is authenticated with the secret: a file in
//! which anything was changed does not open.

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use stxworx_clarity::codec::hash160;
use zeroize::Zeroizing;

use super::key::{Key, KeyError};

/// Version of the format.
const VERSION: u32 = 1;
/// Largest file that is read, bytes.
const LARGEST: u64 = 16 * 1024;
/// Shortest passphrase for a new file, in characters.
pub const SHORTEST_PASSPHRASE: usize = 12;
/// scrypt's cost when a file is made: 128 MiB, some 0.3 s.
const COST: Cost = Cost {
    log_n: 17,
    r: 8,
    p: 1,
};
/// Highest cost that is paid to open a file: 1 GiB.
const HIGHEST_LOG_N: u8 = 20;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not read.
    #[error("the key file {} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not written.
    #[error("the key file {} cannot be written; a file that is there is never replaced", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a key file.
    #[error("{} is no key file: {why}; make one with `stxworx mints key new`", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It does not open.
    #[error("{} does not open: the passphrase is another one, or the file was changed", path.display())]
    Sealed {
        /// Which.
        path: PathBuf,
    },
    /// Too easy to guess.
    #[error("the passphrase is too short: at least {SHORTEST_PASSPHRASE} characters")]
    Short,
}

/// What opens a key file. Erased when it is dropped, and printed by nothing.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl fmt::Debug for Passphrase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Passphrase")
    }
}

impl Passphrase {
    /// A passphrase; ends of lines behind it are not part of it.
    pub fn new(mut text: String) -> Self {
        let length = text.trim_end_matches(['\r', '\n']).len();
        // What is cut off is ends of lines, and no secret.
        text.truncate(length);
        Self(Zeroizing::new(text))
    }

    /// Whether two are the same.
    pub fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Whether it is long enough for a new file.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self) -> Result<(), KeyFileError> {
        if self.0.chars().count() < SHORTEST_PASSPHRASE {
            return Err(KeyFileError::Short);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Cost {
    log_n: u8,
    r: u32,
    p: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// Version of the format.
    stxworx_key: u32,
    public_key: String,
    kdf: String,
    cost: Cost,
    salt: String,
    cipher: String,
    nonce: String,
    sealed: String,
}

const KDF: &str = "scrypt";
const CIPHER: &str = "xchacha20-poly1305";

/// A key file, as it was read.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
    contents: Contents,
    public: [u8; 33],
}

impl KeyFile {
    /// Reads a file, and opens nothing.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::Read {
            path: path.to_owned(),
            source,
        };
        let size = std::fs::metadata(path).map_err(failed)?.len();
        let format = |why: String| KeyFileError::Format {
            path: path.to_owned(),
            why,
        };
        if size > LARGEST {
            return Err(format(format!(
                "it has {size} bytes, expected at most {LARGEST}"
            )));
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        let contents: Contents =
            serde_json::from_slice(&bytes).map_err(|e| format(e.to_string()))?;
        let known =
            contents.stxworx_key == VERSION && contents.kdf == KDF && contents.cipher == CIPHER;
        if !known {
            return Err(format(format!(
                "version {}, {} and {}, expected version {VERSION}, {KDF} and {CIPHER}",
                contents.stxworx_key, contents.kdf, contents.cipher
            )));
        }
        let cost = contents.cost;
        if cost.log_n > HIGHEST_LOG_N || cost.r > 16 || cost.p > 4 {
            return Err(format("opening it would cost too much".to_owned()));
        }
        let mut public = [0; 33];
        hex::decode_to_slice(&contents.public_key, &mut public)
            .map_err(|e| format(format!("public_key: {e}")))?;
        Ok(Self {
            path: path.to_owned(),
            contents,
            public,
        })
    }

    /// The compressed public key that the file names; sure only once it was opened.
    pub fn public(&self) -> [u8; 33] {
        self.public
    }

    /// The hash160 of that key.
    pub fn hash160(&self) -> [u8; 20] {
        hash160(&self.public)
    }

    /// Opens it. Takes some tenths of a second and much memory, on purpose.
    ///
    /// # Errors
    /// When the passphrase is another one, or the file was changed.
    pub fn open(&self, passphrase: &Passphrase) -> Result<Key, KeyFileError> {
        let format = |why: String| KeyFileError::Format {
            path: self.path.clone(),
            why,
        };
        let of = |name: &str, digits: &str| {
            hex::decode(digits).map_err(|e| format(format!("{name}: {e}")))
        };
        let salt = of("salt", &self.contents.salt)?;
        let nonce: [u8; 24] = of("nonce", &self.contents.nonce)?
            .try_into()
            .map_err(|_| format("nonce: expected 24 bytes".to_owned()))?;
        let sealed = of("sealed", &self.contents.sealed)?;
        let wrapping = derive(passphrase, &salt, self.contents.cost).map_err(format)?;
        let opened = XChaCha20Poly1305::new((&*wrapping).into()).decrypt(
            &XNonce::from(nonce),
            Payload {
                msg: &sealed,
                aad: &self.contents.clear(),
            },
        );
        let opened = Zeroizing::new(opened.map_err(|_| KeyFileError::Sealed {
            path: self.path.clone(),
        })?);
        let mut secret = Zeroizing::new([0; 32]);
        if opened.len() != secret.len() {
            return Err(format("sealed: expected 32 bytes in it".to_owned()));
        }
        secret.copy_from_slice(&opened);
        let key = Key::from_bytes(&secret)?;
        if key.public() != self.public {
            return Err(KeyFileError::Sealed {
                path: self.path.clone(),
            });
        }
        Ok(key)
    }

    /// Seals a key into a new file, which only its owner may read.
    ///
    /// # Errors
    /// When the passphrase is too short, or the file is there or cannot be written.
    pub fn create(path: &Path, key: &Key, passphrase: &Passphrase) -> Result<(), KeyFileError> {
        Self::create_at_cost(path, key, passphrase, COST)
    }

    fn create_at_cost(
        path: &Path,
        key: &Key,
        passphrase: &Passphrase,
        cost: Cost,
    ) -> Result<(), KeyFileError> {
        passphrase.check()?;
        let (mut salt, mut nonce) = ([0; 32], [0; 24]);
        let random = SystemRandom::new();
        random.fill(&mut salt).map_err(|_| KeyError::Random)?;
        random.fill(&mut nonce).map_err(|_| KeyError::Random)?;
        let mut contents = Contents {
            stxworx_key: VERSION,
            public_key: hex::encode(key.public()),
            kdf: KDF.to_owned(),
            cost,
            salt: hex::encode(salt),
            cipher: CIPHER.to_owned(),
            nonce: hex::encode(nonce),
            sealed: String::new(),
        };
        let format = |why: String| KeyFileError::Format {
            path: path.to_owned(),
            why,
        };
        let wrapping = derive(passphrase, &salt, cost).map_err(format)?;
        let sealed = XChaCha20Poly1305::new((&*wrapping).into())
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: key.secret(),
                    aad: &contents.clear(),
                },
            )
            .map_err(|_| format("the key cannot be sealed".to_owned()))?;
        contents.sealed = hex::encode(sealed);
        let mut text = serde_json::to_string_pretty(&contents)
            .map_err(|e| format(format!("it cannot be written as JSON: {e}")))?;
        text.push('\n');
        write_new(path, text.as_bytes()).map_err(|source| KeyFileError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

impl Contents {
    /// What is authenticated beside the secret.
    fn clear(&self) -> Vec<u8> {
        format!(
            "stxworx key {} {} {} {} {} {} {} {} {}",
            self.stxworx_key,
            self.public_key,
            self.kdf,
            self.cost.log_n,
            self.cost.r,
            self.cost.p,
            self.salt,
            self.cipher,
            self.nonce
        )
        .into_bytes()
    }
}

fn derive(passphrase: &Passphrase, salt: &[u8], cost: Cost) -> Result<Zeroizing<[u8; 32]>, String> {
    let parameters =
        scrypt::Params::new(cost.log_n, cost.r, cost.p).map_err(|e| format!("cost: {e}"))?;
    let mut wrapping = Zeroizing::new([0; 32]);
    scrypt::scrypt(
        passphrase.0.as_bytes(),
        salt,
        &parameters,
        wrapping.as_mut(),
    )
    .map_err(|e| format!("cost: {e}"))?;
    Ok(wrapping)
}

/// Writes a file that was not there, for its owner alone, and has it on the disk before it says so.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // The name of the file is in its folder.
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const CHEAP: Cost = Cost {
        log_n: 4,
        r: 8,
        p: 1,
    };

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("stxworx-key-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn words(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned())
    }

    #[test]
    fn a_file_opens_with_its_passphrase_only_and_not_after_a_change() {
        let folder = folder("opens");
        let path = folder.join("minter.key");
        let key = Key::random().unwrap();
        let right = words("correct horse battery\n");
        KeyFile::create_at_cost(&path, &key, &right, CHEAP).unwrap();
        let file = KeyFile::read(&path).unwrap();
        assert_eq!(file.hash160(), key.hash160());
        let opened = file.open(&words("correct horse battery")).unwrap();
        assert_eq!(opened.secret(), key.secret());
        assert!(matches!(
            file.open(&words("correct horse batterie")),
            Err(KeyFileError::Sealed { .. })
        ));
        // A reader of the file finds nothing.
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&hex::encode(key.secret())));
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        // Another public key, or another cost, in an otherwise sound file.
        let other = hex::encode(Key::random().unwrap().public());
        let swapped = text.replace(&hex::encode(key.public()), &other);
        let cheaper = text.replace("\"log_n\": 4", "\"log_n\": 3");
        for changed in [swapped, cheaper] {
            assert_ne!(changed, text);
            std::fs::write(&path, changed).unwrap();
            let refused = KeyFile::read(&path).unwrap().open(&right);
            assert!(matches!(refused, Err(KeyFileError::Sealed { .. })));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_is_there_is_not_replaced_and_a_short_passphrase_makes_none() {
        let folder = folder("there");
        let path = folder.join("minter.key");
        let key = Key::random().unwrap();
        let short = KeyFile::create_at_cost(&path, &key, &words("too short"), CHEAP);
        assert!(matches!(short, Err(KeyFileError::Short)));
        assert!(!path.exists());
        std::fs::write(&path, "mine").unwrap();
        let there = KeyFile::create_at_cost(&path, &key, &words("long enough, really"), CHEAP);
        assert!(matches!(there, Err(KeyFileError::Write { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_no_key_file_says_why_and_costs_nothing() {
        let folder = folder("none");
        let path = folder.join("minter.key");
        let good = serde_json::json!({
            "stxworx_key": 1, "public_key": "02".repeat(33), "kdf": "scrypt",
            "cost": { "log_n": 4, "r": 8, "p": 1 }, "salt": "00", "cipher": CIPHER,
            "nonce": "00", "sealed": "00"
        });
        let with = |key: &str, value: serde_json::Value| {
            let mut contents = good.clone();
            contents[key] = value;
            contents.to_string()
        };
        for (text, word) in [
            ("{}".to_owned(), "missing field"),
            (with("stxworx_key", 2.into()), "version 2"),
            (with("kdf", "argon2".into()), "argon2"),
            (
                with("cost", serde_json::json!({ "log_n": 40, "r": 8, "p": 1 })),
                "cost too much",
            ),
            (with("public_key", "02".into()), "public_key"),
            ("x".repeat(20_000), "20000 bytes"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = KeyFile::read(&path).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        std::fs::write(&path, good.to_string()).unwrap();
        let error = KeyFile::read(&path)
            .unwrap()
            .open(&words("whatever it is"))
            .unwrap_err();
        assert!(error.to_string().contains("24 bytes"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
