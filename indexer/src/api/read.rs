//! What strangers send, read as the routes read it, without a server: for fuzzing and for tests.

use axum::http::{HeaderMap, Uri};

use super::access::{ShownKey, TokenVerifier};
use super::cursor::{Cursor, Key, Scope};
use super::error::ApiError;
use super::params::{self, BlockId, Params};

/// Reads a target (path and query) in every way in which a route may read its parameters. Says how many of the
/// readings were refused; none when the target is no URI. Whatever is sent, this must return.
///
/// # Panics
/// When a reading is refused without a hint, or a cursor that was accepted is not what was sent: faults of ours.
pub fn target(text: &str) -> Option<usize> {
    let uri: Uri = text.parse().ok()?;
    let params = Params::read(&uri, &HeaderMap::new());
    let groups = [
        params::PAGE,
        params::HEIGHTS,
        params::ORDER,
        params::AT_BLOCK,
    ];
    let results = [
        params.allow(&groups).err(),
        params.page().err(),
        params.heights().err(),
        params.order().err(),
        params.at_block().err(),
        params.text("topic").err(),
        params.contract("contract").err(),
        params
            .get("txid")
            .and_then(|id| params::txid("txid", id).err()),
        BlockId::from_path(uri.path()).err(),
        params::text("name", uri.path()).err(),
        params::contract("id", uri.path()).err(),
    ];
    let refused: Vec<ApiError> = results.into_iter().flatten().collect();
    for error in &refused {
        let problem = error.problem();
        assert!(!problem.detail.is_empty(), "no hint");
        assert!(
            problem
                .given
                .as_ref()
                .is_none_or(|given| given.chars().count() <= 80)
        );
    }
    let scope = params.scope();
    if let Some(given) = params.get("cursor") {
        cursor::<i32>(given, &scope);
        cursor::<i64>(given, &scope);
        cursor::<String>(given, &scope);
        cursor::<(i32, (i32, i32))>(given, &scope);
    }
    Some(refused.len())
}

/// A cursor that is accepted is exactly the text that this key makes.
fn cursor<K: Key>(given: &str, scope: &Scope) {
    if let Some(cursor) = Cursor::<K>::decode(given, scope) {
        assert_eq!(cursor.encode(scope), given, "two texts for one cursor");
    }
}

/// Makes a cursor of these bytes in the scope of a target, with a checksum that is right, and reads it back.
///
/// # Panics
/// When it reads back as something else.
pub fn forged_cursor(bytes: &[u8], text: &str) {
    let Ok(uri) = text.parse::<Uri>() else { return };
    let scope = Params::read(&uri, &HeaderMap::new()).scope();
    let key = String::from_utf8_lossy(bytes).replace('\0', "");
    let (tip, height) = ([bytes.first().copied().unwrap_or(0); 32], 7);
    let made = Cursor { tip, height, key };
    let text = made.encode(&scope);
    // The longest text that is read holds any name of an entity.
    if text.len() <= 4096 {
        assert_eq!(Cursor::decode(&text, &scope), Some(made));
    }
    cursor::<i32>(&text, &scope);
    cursor::<(i32, (i32, i32))>(&text, &scope);
}

/// Reads credentials. Nobody who has no key is let in.
///
/// # Panics
/// When a token is believed that nobody signed.
pub fn credentials(text: &str, verifier: &TokenVerifier) {
    if let Some(key) = ShownKey::parse(text) {
        assert!(text.contains(&key.id), "an id that was not shown");
    }
    assert!(
        verifier.verify(text, 1_800_000_000).is_err(),
        "a made-up token is believed"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn readings_are_counted() {
        assert_eq!(target("/v1/events?limit=3"), Some(2));
        assert_eq!(target("/v1/events?limit=x&order=y&at_block=z"), Some(5));
        assert_eq!(target("a b"), None);
    }

    proptest! {
        #[test]
        fn any_target_is_judged(text in "/[!-~]{0,40}\\?(limit|cursor|order|at_block|contract|txid|topic)=[!-~]{0,80}") {
            target(&text);
        }

        #[test]
        fn any_key_goes_both_ways(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            forged_cursor(&bytes, "/v1/events?topic=a");
        }
    }
}
