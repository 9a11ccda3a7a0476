//! Keys of the API: how they look, how they are made, and which are in force.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use crate::store::keys::{self, KeyRow};
use crate::store::read::ReadError;

const PREFIX: &str = "stxworx_";
const ID_DIGITS: usize = 16;
const SECRET_DIGITS: usize = 64;

/// How long a key is believed after it was looked up: a revoked one works no longer than that.
pub const KEY_TTL: Duration = Duration::from_secs(5);
/// Keys that are remembered, known and unknown ones.
const REMEMBERED: usize = 10_000;
/// How often the use of a key is noted, at most.
const NOTED_EVERY: Duration = Duration::from_secs(300);

/// The operating system has no random bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system gave no random bytes; nothing was made")]
pub struct NoRandomness;

/// A key that somebody showed, or that was just made. Only a hash of its secret is kept, even here.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownKey {
    /// The public part.
    pub id: String,
    /// SHA-256 of the secret. One fast hash is enough: the secret is 256 random bits, and whoever tries them all
    /// is not stopped by a slow hash but by their number.
    pub secret_sha256: [u8; 32],
}

impl fmt::Debug for ShownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShownKey({})", self.id)
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl ShownKey {
    /// Reads `stxworx_ID_SECRET`; none if it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        (is_hex(id, ID_DIGITS) && is_hex(secret, SECRET_DIGITS)).then(|| Self {
            id: id.to_owned(),
            secret_sha256: Sha256::digest(secret).into(),
        })
    }

    /// Makes a key: what is shown once, and what is kept.
    ///
    /// # Errors
    /// When there are no random bytes.
    pub fn generate() -> Result<(String, Self), NoRandomness> {
        let mut bytes = [0u8; (ID_DIGITS + SECRET_DIGITS) / 2];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| NoRandomness)?;
        let digits = hex::encode(bytes);
        let (id, secret) = digits.split_at(ID_DIGITS);
        let shown = format!("{PREFIX}{id}_{secret}");
        let kept = Self {
            id: id.to_owned(),
            secret_sha256: Sha256::digest(secret).into(),
        };
        Ok((shown, kept))
    }

    fn opens(&self, row: &KeyRow) -> bool {
        let equal: bool = row
            .secret_sha256
            .as_slice()
            .ct_eq(&self.secret_sha256)
            .into();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
        equal && row.is_valid && row.expires_unix.is_none_or(|expires| now < expires)
    }
}

struct Remembered {
    row: Option<KeyRow>,
    looked_up: Instant,
    noted: Option<Instant>,
}

/// Keys that are looked up at the same time: made-up ones must not take the connections from those who read.
const LOOK_UPS: usize = 4;
/// How long a look-up may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// Keys that were looked up lately, so that not every request asks the database.
pub(super) struct KeyCache {
    known: Mutex<HashMap<String, Remembered>>,
    turns: Semaphore,
}

impl Default for KeyCache {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            turns: Semaphore::new(LOOK_UPS),
        }
    }
}

impl KeyCache {
    /// What is remembered of a key: the row, or that there is none.
    pub(super) fn remembered(&self, id: &str) -> Option<Option<KeyRow>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.get(id)?;
        (entry.looked_up.elapsed() < KEY_TTL).then(|| entry.row.clone())
    }

    /// Asks the database.
    pub(super) async fn look_up(
        &self,
        pool: &PgPool,
        id: &str,
    ) -> Result<Option<KeyRow>, ReadError> {
        let read = ReadError::reading("a key of the API");
        let Ok(Ok(_turn)) = tokio::time::timeout(PATIENCE, self.turns.acquire()).await else {
            return Err(read(sqlx::Error::PoolTimedOut));
        };
        // Another request may have asked for the same key meanwhile.
        if let Some(row) = self.remembered(id) {
            return Ok(row);
        }
        let mut connection = pool.acquire().await.map_err(read)?;
        let row = keys::find(&mut connection, id).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, entry| entry.looked_up.elapsed() < KEY_TTL);
            if known.len() >= REMEMBERED {
                // Only a flood of made-up keys comes here; the good ones are looked up once more.
                known.clear();
            }
        }
        let noted = known.get(id).and_then(|entry| entry.noted);
        let entry = Remembered {
            row: row.clone(),
            looked_up: Instant::now(),
            noted,
        };
        known.insert(id.to_owned(), entry);
        Ok(row)
    }

    /// Is the use of this key to be noted now? Says yes once in a while.
    fn is_due(&self, id: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = known.get_mut(id) else {
            return false;
        };
        let due = entry.noted.is_none_or(|at| at.elapsed() >= NOTED_EVERY);
        if due {
            entry.noted = Some(Instant::now());
        }
        due
    }

    /// Notes the use of a key, if that is due and this process may write. Nobody waits for it.
    pub(super) fn note(&self, pool: Option<&PgPool>, id: &str) {
        let Some(pool) = pool.filter(|_| self.is_due(id)) else {
            return;
        };
        let (pool, id) = (pool.clone(), id.to_owned());
        tokio::spawn(async move {
            if let Err(error) = keys::touch(&pool, &id).await {
                let error = crate::error_chain(&error).to_string();
                tracing::warn!(key = id, error, "the use of a key could not be noted");
            }
        });
    }
}

/// Does a key open what its row says?
pub(super) fn fits(shown: &ShownKey, row: Option<&KeyRow>) -> bool {
    row.is_some_and(|row| shown.opens(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::Role;
    use proptest::prelude::*;

    fn row(of: &ShownKey) -> KeyRow {
        KeyRow {
            id: of.id.clone(),
            name: "backend".to_owned(),
            role: Role::Reader,
            secret_sha256: of.secret_sha256.to_vec(),
            is_valid: true,
            expires_unix: None,
        }
    }

    #[test]
    fn a_made_key_reads_back_and_opens_only_itself() {
        let (text, kept) = ShownKey::generate().unwrap();
        let shown = ShownKey::parse(&text).unwrap();
        assert_eq!(shown, kept);
        assert!(fits(&shown, Some(&row(&kept))));
        let (_, other) = ShownKey::generate().unwrap();
        assert!(!fits(&shown, Some(&row(&other))));
        assert!(!fits(&shown, None));
        let secret = text.rsplit('_').next().unwrap();
        assert!(!format!("{shown:?}").contains(secret));
    }

    #[test]
    fn revoked_and_expired_keys_open_nothing() {
        let (_, kept) = ShownKey::generate().unwrap();
        let revoked = KeyRow {
            is_valid: false,
            ..row(&kept)
        };
        let expired = KeyRow {
            expires_unix: Some(1),
            ..row(&kept)
        };
        assert!(!fits(&kept, Some(&revoked)));
        assert!(!fits(&kept, Some(&expired)));
    }

    proptest! {
        #[test]
        fn other_texts_are_no_keys(text in "(stxworx_)?[0-9a-fA-F_]{0,90}") {
            if let Some(key) = ShownKey::parse(&text) {
                prop_assert_eq!(text.len(), PREFIX.len() + ID_DIGITS + 1 + SECRET_DIGITS);
                prop_assert!(text.contains(&key.id));
            }
        }
    }
}
