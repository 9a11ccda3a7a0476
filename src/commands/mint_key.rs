//! `stxworx mints key`: the key that mints, at rest.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use stxworx_clarity::codec::transaction::{MAINNET_CHAIN_ID, TESTNET_CHAIN_ID};
use stxworx_reconciler::mint::signer::{Key, KeyFile, Passphrase};
use stxworx_reconciler::mint::tx::account;

use crate::cli::{CommandError, Outcome, say};
use crate::secrets::{SecretError, ask, open_key, passphrase, read_secret};

/// What to do with a key.
#[derive(Debug, Subcommand)]
pub enum MintKeyCommand {
    /// Make a key, or take one from a wallet, and seal it into a new file.
    New(NewArgs),
    /// Say whose key a file holds. Opens it only with --open.
    Show(ShowArgs),
    /// Make the key that comes after another one, or give a key another passphrase, in a new file.
    Rotate(RotateArgs),
}

/// Options of `mints key new`.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Where to: a file that is not there yet.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// File with the passphrase; without it, it is asked for on the terminal.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// File with an existing key, as hexadecimal digits; without it, a new one is made.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

/// Options of `mints key show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The key file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Open it, to see that the passphrase is the right one. The key is not shown.
    #[arg(long)]
    pub open: bool,
    /// File with the passphrase; without it, it is asked for on the terminal.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Options of `mints key rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The key file that is in use.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to: a file that is not there yet.
    #[arg(value_name = "NEW_FILE")]
    pub new_file: PathBuf,
    /// Keep the key, and change the passphrase only.
    #[arg(long)]
    pub keep_key: bool,
    /// File with the passphrase of the file in use (needed with --keep-key).
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// File with the new passphrase; without it, it is asked for on the terminal.
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
}

/// A passphrase that is to be kept: at the terminal, it is asked for twice.
fn new_passphrase(file: Option<&Path>, option: &'static str) -> Result<Passphrase, SecretError> {
    let first = passphrase(file, option, "New passphrase: ")?;
    first.check()?;
    if file.is_none() && !first.is(&ask("The same again: ", option)?) {
        return Err(SecretError::Differ);
    }
    Ok(first)
}

/// Does what is asked for.
///
/// # Errors
/// When a file cannot be read or written, or does not open.
pub fn key(command: &MintKeyCommand) -> Result<Outcome, CommandError> {
    let done = match command {
        MintKeyCommand::New(args) => new(args),
        MintKeyCommand::Show(args) => show(args),
        MintKeyCommand::Rotate(args) => rotate(args),
    };
    done.map_err(CommandError::other)?;
    Ok(Outcome::Done)
}

fn new(args: &NewArgs) -> Result<(), SecretError> {
    let key = match &args.secret_file {
        Some(path) => Key::parse(&read_secret(path)?)?,
        None => Key::random()?,
    };
    let words = new_passphrase(args.passphrase_file.as_deref(), "--passphrase-file")?;
    KeyFile::create(&args.file, &key, &words)?;
    say!("{} holds the key of", args.file.display());
    say_accounts(key.hash160());
    say!("Keep a copy of it, and the passphrase elsewhere: without both, the key is gone.");
    Ok(())
}

fn show(args: &ShowArgs) -> Result<(), SecretError> {
    let file = KeyFile::read(&args.file)?;
    if args.open {
        open_key(&args.file, args.passphrase_file.as_deref())?;
        say!("{} opens; it holds the key of", args.file.display());
    } else {
        say!("{} says that it holds the key of", args.file.display());
    }
    say_accounts(file.hash160());
    say!("public key {}", hex::encode(file.public()));
    Ok(())
}

fn rotate(args: &RotateArgs) -> Result<(), SecretError> {
    let old = KeyFile::read(&args.file)?;
    let key = if args.keep_key {
        open_key(&args.file, args.passphrase_file.as_deref())?
    } else {
        Key::random()?
    };
    let words = new_passphrase(args.new_passphrase_file.as_deref(), "--new-passphrase-file")?;
    KeyFile::create(&args.new_file, &key, &words)?;
    say!("{} holds the key of", args.new_file.display());
    say_accounts(key.hash160());
    if args.keep_key {
        say!(
            "It is the same key. Use the new file, then remove {}.",
            args.file.display()
        );
        return Ok(());
    }
    say!("It comes after the key of");
    say_accounts(old.hash160());
    say!("What is left to do, in this order; docs/mint-keys.md says how:");
    say!("  1. send the new account its fees");
    say!("  2. have the signers make it a minter (propose set-minter, true)");
    say!("  3. pause the old lane, and wait until nothing of it is in flight");
    say!("  4. name the new file in mint.key_file, and restart the minter");
    say!("  5. have the signers dismiss the old account (set-minter, false)");
    Ok(())
}

fn say_accounts(hash160: [u8; 20]) {
    say!("  {} on mainnet", account(MAINNET_CHAIN_ID, hash160));
    say!(
        "  {} on testnets and devnets",
        account(TESTNET_CHAIN_ID, hash160)
    );
}
