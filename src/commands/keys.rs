//! `stxworx keys`: who may ask the API, and as what.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use stxworx_indexer::api::access::{Caller, CallerKind, LONGEST_SECONDS, Role, ShownKey};
use stxworx_indexer::store::keys::{self, KeyInfo, NewKey, Revoked};
use stxworx_indexer::store::{self, Access, StoreError};

use crate::cli::{CommandError, Outcome, say};
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// Longest name of a key or a token's subject, in characters.
const LONGEST_NAME: usize = 100;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key. It is printed once, and cannot be shown again.
    Create(CreateArgs),
    /// List the keys: whose, which role, how long, used when. Their secrets are not stored.
    List(crate::cli::OutputArgs),
    /// Revoke a key, for good. Running processes refuse it some seconds later.
    Revoke(RevokeArgs),
    /// Sign a token for a person with `api.jwt_secret`. It cannot be revoked, so make it short.
    Token(TokenArgs),
}

/// What a key or a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// Reads.
    Reader,
    /// Runs the service.
    Operator,
    /// Decides who may do what.
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Reader => Self::Reader,
            RoleArg::Operator => Self::Operator,
            RoleArg::Admin => Self::Admin,
        }
    }
}

/// Options of `keys create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Whose key it is, for people: it is in the log of administrative actions.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: String,
    /// What it allows.
    #[arg(long, value_enum)]
    pub role: RoleArg,
    /// After which time it is not valid any more, for instance 30d or 12h; without it, until it is revoked.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::duration)]
    pub expires: Option<Duration>,
    /// How the key is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// Options of `keys revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The key's public part: the 16 digits after `stxworx_`, as `keys list` prints them.
    #[arg(value_name = "ID")]
    pub id: String,
}

/// Options of `keys token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// Who will bear it: it is in the log of administrative actions.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: String,
    /// What it allows.
    #[arg(long, value_enum)]
    pub role: RoleArg,
    /// For how long, at most 24h.
    #[arg(long = "for", value_name = "TIME", value_parser = crate::cli::duration)]
    pub valid_for: Duration,
}

fn name(text: &str) -> Result<String, String> {
    let fits = (1..=LONGEST_NAME).contains(&text.chars().count());
    if fits && !text.chars().any(char::is_control) && !text.trim().is_empty() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "a name has 1 to {LONGEST_NAME} characters, and no control characters"
    ))
}

/// Who runs this command.
fn operator() -> Caller {
    let user = nix::unistd::Uid::effective();
    let name = nix::unistd::User::from_uid(user)
        .ok()
        .flatten()
        .map_or_else(|| format!("uid {user}"), |user| user.name);
    Caller {
        role: Role::Admin,
        name,
        kind: CallerKind::Cli,
    }
}

/// Does what is asked for.
///
/// # Errors
/// When the database cannot be reached, or what is asked for cannot be done.
pub async fn keys(config: &Config, command: &KeysCommand) -> Result<Outcome, CommandError> {
    if let KeysCommand::Token(args) = command {
        return token(config, args);
    }
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = on(database.url(), command).await;
    database.close().await;
    result
}

async fn on(url: &str, command: &KeysCommand) -> Result<Outcome, CommandError> {
    let pool = store::pool(url, Access::Admin, 1).map_err(CommandError::other)?;
    let result = match command {
        KeysCommand::Create(args) => create(&pool, args).await,
        KeysCommand::List(args) => list(&pool, args.output).await.map_err(CommandError::other),
        KeysCommand::Revoke(args) => revoke(&pool, &args.id).await,
        KeysCommand::Token(_) => Ok(()),
    };
    pool.close().await;
    result.map(|()| Outcome::Done)
}

async fn create(pool: &store::Pool, args: &CreateArgs) -> Result<(), CommandError> {
    let (shown, kept) = ShownKey::generate().map_err(CommandError::other)?;
    let expires_in_seconds = args
        .expires
        .map(|time| i64::try_from(time.as_secs()))
        .transpose()
        .ok()
        .filter(|seconds| seconds.is_none_or(|s| (1..=LONGEST_KEY_SECONDS).contains(&s)))
        .ok_or_else(|| CommandError::Usage("--expires must be from 1s to 3650d".to_owned()))?;
    let key = NewKey {
        id: &kept.id,
        name: &args.name,
        role: args.role.into(),
        secret_sha256: &kept.secret_sha256,
        expires_in_seconds,
    };
    keys::create(pool, &operator(), &key)
        .await
        .map_err(CommandError::other)?;
    match args.output {
        OutputFormat::Json => {
            let json = serde_json::json!({ "id": kept.id, "name": args.name, "role": key.role, "key": shown });
            say!("{json:#}");
        }
        OutputFormat::Text => {
            eprintln!(
                "key {} for {} ({}); keep it, it is not shown again:",
                kept.id, args.name, key.role
            );
            say!("{shown}");
        }
    }
    Ok(())
}

/// Ten years.
const LONGEST_KEY_SECONDS: i64 = 3650 * 24 * 3600;

async fn list(pool: &store::Pool, output: OutputFormat) -> Result<(), StoreError> {
    let all = keys::list(pool).await?;
    if output == OutputFormat::Json {
        let json: Vec<_> = all
            .iter()
            .map(|k| {
                serde_json::json!({
                    "id": k.id, "name": k.name, "role": k.role, "created_at": k.created_at,
                    "expires_at": k.expires_at, "revoked_at": k.revoked_at, "last_used_at": k.last_used_at,
                })
            })
            .collect();
        say!("{:#}", serde_json::Value::Array(json));
        return Ok(());
    }
    for key in &all {
        say!("{}", line(key));
    }
    say!("{} keys", all.len());
    Ok(())
}

fn line(key: &KeyInfo) -> String {
    let mut line = format!(
        "{} {} {:?}, made {}",
        key.id, key.role, key.name, key.created_at
    );
    for (word, at) in [
        ("used", &key.last_used_at),
        ("expires", &key.expires_at),
        ("revoked", &key.revoked_at),
    ] {
        if let Some(at) = at {
            line.push_str(&format!(", {word} {at}"));
        }
    }
    line
}

async fn revoke(pool: &store::Pool, id: &str) -> Result<(), CommandError> {
    // The whole key is what is at hand when one has leaked.
    let id = ShownKey::parse(id).map_or_else(|| id.to_owned(), |key| key.id);
    let id = id.trim_start_matches("stxworx_");
    match keys::revoke(pool, &operator(), id)
        .await
        .map_err(CommandError::other)?
    {
        Revoked::Now => say!("key {id} is revoked"),
        Revoked::Before => say!("key {id} was revoked before"),
        Revoked::Unknown => {
            let shown: String = id.chars().take(16).collect();
            let text = format!("there is no key {shown:?}; `stxworx keys list` lists them");
            return Err(CommandError::Usage(text));
        }
    }
    Ok(())
}

fn token(config: &Config, args: &TokenArgs) -> Result<Outcome, CommandError> {
    let seconds = args.valid_for.as_secs();
    if !(1..=LONGEST_SECONDS).contains(&seconds) {
        return Err(CommandError::Usage(
            "--for must be from 1s to 24h".to_owned(),
        ));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let verifier = config.api.tokens.verifier().map_err(CommandError::other)?;
    let token = verifier.and_then(|v| v.sign(&args.name, args.role.into(), now, seconds));
    let Some(token) = token else {
        let text =
            "api.jwt_secret is not set; set it, the same as for the process that serves the API";
        return Err(CommandError::Usage(text.to_owned()));
    };
    say!("{token}");
    Ok(Outcome::Done)
}
