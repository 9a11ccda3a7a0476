//! Secrets on their way in: from a file that not everybody may read, or from whoever sits at the terminal.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::sys::termios::{self, LocalFlags, SetArg};
use stxworx_reconciler::mint::signer::{Key, KeyError, KeyFile, KeyFileError, Passphrase};
use zeroize::Zeroizing;

/// Longest secret that is read from a file, bytes.
const LONGEST: u64 = 4 * 1024;

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Not read.
    #[error("the secret in {} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others can read it.
    #[error(
        "{} holds a secret, and everybody on this machine may read it; `chmod o-rwx` it",
        path.display()
    )]
    Open {
        /// Which.
        path: PathBuf,
    },
    /// Nobody to ask.
    #[error("there is no terminal to ask for the passphrase; name a file with it: {option}")]
    NoTerminal {
        /// Which option.
        option: &'static str,
    },
    /// Not asked.
    #[error("the terminal cannot be asked for the passphrase")]
    Terminal(#[source] std::io::Error),
    /// Mistyped.
    #[error("the two passphrases differ; nothing was written")]
    Differ,
    /// Not set, or no text.
    #[error("the environment variable {name}, which should hold the key, is not set")]
    Variable {
        /// Which.
        name: String,
    },
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key file.
    #[error(transparent)]
    File(#[from] KeyFileError),
}

/// Reads a small secret from a file that not everybody may read.
///
/// # Errors
/// When it cannot be read, or everybody may.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let failed = |source| SecretError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    // A pipe of the shell (`<(...)`) belongs to whoever made it.
    if about.is_file() && about.permissions().mode() & 0o007 != 0 {
        return Err(SecretError::Open {
            path: path.to_owned(),
        });
    }
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(LONGEST).unwrap_or(0)));
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

/// The passphrase of a file, or of whoever sits at the terminal.
///
/// # Errors
/// When there is neither.
pub fn passphrase(
    file: Option<&Path>,
    option: &'static str,
    question: &str,
) -> Result<Passphrase, SecretError> {
    match file {
        Some(path) => Ok(Passphrase::new(read_secret(path)?.to_string())),
        None => ask(question, option),
    }
}

/// Asks on the terminal, which does not show what is typed.
pub(crate) fn ask(question: &str, option: &'static str) -> Result<Passphrase, SecretError> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(SecretError::NoTerminal { option });
    }
    eprint!("{question}");
    std::io::stderr().flush().map_err(SecretError::Terminal)?;
    let terminal = |e: nix::Error| SecretError::Terminal(e.into());
    let shown = termios::tcgetattr(input.as_fd()).map_err(terminal)?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    termios::tcsetattr(input.as_fd(), SetArg::TCSAFLUSH, &hidden).map_err(terminal)?;
    let mut line = String::new();
    let read = input.read_line(&mut line);
    termios::tcsetattr(input.as_fd(), SetArg::TCSAFLUSH, &shown).map_err(terminal)?;
    eprintln!();
    read.map_err(SecretError::Terminal)?;
    Ok(Passphrase::new(line))
}

/// Opens a key file.
///
/// # Errors
/// When it is none, or the passphrase is another one.
pub fn open_key(file: &Path, passphrase_file: Option<&Path>) -> Result<Key, SecretError> {
    let sealed = KeyFile::read(file)?;
    let question = format!("Passphrase of {}: ", file.display());
    Ok(sealed.open(&passphrase(
        passphrase_file,
        "--passphrase-file",
        &question,
    )?)?)
}
