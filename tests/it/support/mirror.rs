//! Questions to a mirror.

use super::db::TestDb;
use super::eventually;

/// Waits until every payload is processed.
pub async fn settled(db: &TestDb) {
    eventually("an empty backlog", || async {
        let waiting = db
            .number("select count(*) from inbox where state = 0")
            .await;
        if waiting == 0 {
            Ok(())
        } else {
            Err(format!("{waiting} payloads are waiting"))
        }
    })
    .await;
}

/// Index block hash of the canonical tip, with 0x.
pub async fn tip(db: &TestDb) -> Option<String> {
    db.text(
        "select '0x' || encode(b.index_block_hash, 'hex') from canonical c join block b on b.id = c.block_id
         order by c.height desc limit 1",
    )
    .await
}

/// Every block of every fork with its digest, and the canonical chain: two mirrors of the same chain
/// have the same, whatever happened on the way.
pub async fn fingerprint(db: &TestDb) -> (String, String) {
    let blocks = db
        .text(
            "select string_agg(encode(index_block_hash, 'hex') || ' ' || encode(digest, 'hex'), E'\\n'
                 order by index_block_hash) from block",
        )
        .await;
    (blocks.unwrap_or_default(), canonical_digests(db).await)
}

/// Digests along the canonical chain.
pub async fn canonical_digests(db: &TestDb) -> String {
    let canonical = db
        .text(
            "select string_agg(c.height || ' ' || encode(b.index_block_hash, 'hex') || ' ' || encode(b.digest, 'hex'),
                 E'\\n' order by c.height) from canonical c join block b on b.id = c.block_id",
        )
        .await;
    canonical.unwrap_or_default()
}

/// Recomputes everything from the payloads and insists on no difference.
pub async fn assert_verifies(db: &TestDb) {
    let report = stxworx_indexer::verify::verify(&db.pool, &mut |_| {})
        .await
        .unwrap();
    assert_eq!(
        report.mismatches,
        [],
        "the mirror is not what its payloads say"
    );
}
