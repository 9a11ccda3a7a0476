//! One request, one snapshot: everything an answer says is true at the same moment.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::{Hex, ReadError, Uint, Ulong};

/// A read-only transaction in which every statement sees the same committed state.
#[derive(Debug)]
pub struct Snapshot {
    tx: Transaction<'static, Postgres>,
    /// The network that this mirror follows.
    pub network: String,
    /// Number of reorgs so far.
    pub generation: u64,
    /// The canonical tip; none while the mirror is empty.
    pub tip: Option<Tip>,
}

/// The canonical tip, and how far Bitcoin is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// Local number of the block.
    pub block_id: i64,
    /// Index block hash.
    pub id: Hex,
    /// Stacks height.
    pub height: u32,
    /// Digest chain at the tip.
    pub digest: Hex,
    /// Height of the newest Bitcoin block known.
    pub burn_height: u32,
    /// Height of the Bitcoin block that elected the tip's tenure.
    pub burn_block_height: u32,
    /// Its clock, unix seconds: its own time, or its Bitcoin block's before epoch 3.0.
    pub time: u64,
}

/// A block that a client named, and whether it is canonical now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockAt {
    /// Index block hash.
    pub id: Hex,
    /// Stacks height.
    pub height: Uint,
    /// Digest chain at the block.
    pub digest: Hex,
    /// Height of the Bitcoin block that elected its tenure.
    pub burn_block_height: Uint,
    /// Its clock, unix seconds.
    pub time: Ulong,
    /// Is it on the canonical chain?
    pub canonical: bool,
}

impl Snapshot {
    /// Opens the snapshot and reads the mirror's position.
    ///
    /// # Errors
    /// When the database cannot be read, or holds no mirror.
    pub async fn open(pool: &PgPool) -> Result<Self, ReadError> {
        let mut tx = crate::store::begin(pool, "begin isolation level repeatable read, read only")
            .await
            .map_err(ReadError::reading("the snapshot"))?;
        // A source that does not report Bitcoin blocks leaves `burn_block` empty; the tip's own
        // sortition is then the least that is known.
        let row = sqlx::query!(
            r#"
            select m.network, m.generation as "generation!: Ulong",
                   b.id as "block_id?", b.index_block_hash as "tip?: Hex", b.height as "height?: Uint",
                   b.digest as "digest?: Hex", b.burn_block_height as "burn_block_height?: Uint",
                   coalesce(b.block_time, b.burn_block_time) as "time?: Ulong",
                   greatest((select max(height) from burn_block), b.burn_block_height) as "burn_height?: Uint"
            from mirror m
            left join block b on b.id = m.tip_block_id
            "#
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(ReadError::reading("the mirror's position"))?
        .ok_or(ReadError::NotInitialised)?;
        let tip = match (
            row.block_id,
            row.tip,
            row.height,
            row.digest,
            row.burn_height,
            row.burn_block_height,
            row.time,
        ) {
            (
                Some(block_id),
                Some(id),
                Some(height),
                Some(digest),
                Some(burn_height),
                Some(burn_block_height),
                Some(time),
            ) => Some(Tip {
                block_id,
                id,
                height: height.0,
                digest,
                burn_height: burn_height.0,
                burn_block_height: burn_block_height.0,
                time: time.0,
            }),
            _ => None,
        };
        Ok(Self {
            tx,
            network: row.network,
            generation: row.generation.0,
            tip,
        })
    }

    /// The connection, for further reads in this snapshot.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Height of the highest canonical block that lies `depth` or more Bitcoin blocks deep.
    ///
    /// The Bitcoin height never falls along the chain, so the border is found by bisection: some twenty
    /// look-ups instead of a walk over every block since.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn height_at_burn_depth(
        &mut self,
        burn_height: u32,
        depth: u32,
    ) -> Result<Option<u32>, ReadError> {
        sqlx::query_scalar!(
            r#"
            with recursive ends as (
                select min(height) as low, max(height) as high from canonical
            ), search (low, high) as (
                select low - 1, high from ends where low is not null
                union all
                select case when m.deep then m.mid else s.low end, case when m.deep then s.high else m.mid - 1 end
                from search s
                cross join lateral (
                    select (s.low + s.high + 1) / 2 as mid, $1::bigint - b.burn_block_height >= $2::bigint as deep
                    from canonical c
                    join block b on b.id = c.block_id
                    where c.height <= (s.low + s.high + 1) / 2
                    order by c.height desc
                    limit 1
                ) m
                where s.low < s.high
            )
            select s.low as "height!: Uint" from search s, ends e where s.low = s.high and s.low >= e.low
            "#,
            i64::from(burn_height),
            i64::from(depth),
        )
        .fetch_optional(self.connection())
        .await
        .map(|height| height.map(|h| h.0))
        .map_err(ReadError::reading("the height of finality"))
    }

    /// Looks up a block of any fork by its index block hash.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn block_by_hash(&mut self, id: &[u8]) -> Result<Option<BlockAt>, ReadError> {
        sqlx::query_as!(
            BlockAt,
            r#"
            select b.index_block_hash as "id!: Hex", b.height as "height!: Uint", b.digest as "digest!: Hex",
                   b.burn_block_height as "burn_block_height!: Uint",
                   coalesce(b.block_time, b.burn_block_time) as "time!: Ulong", c.block_id is not null as "canonical!"
            from block b
            left join canonical c on c.block_id = b.id
            where b.index_block_hash = $1
            "#,
            id,
        )
        .fetch_optional(self.connection())
        .await
        .map_err(ReadError::reading("a block"))
    }

    /// Looks up the canonical block at a height.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn block_by_height(&mut self, height: i32) -> Result<Option<BlockAt>, ReadError> {
        sqlx::query_as!(
            BlockAt,
            r#"
            select b.index_block_hash as "id!: Hex", b.height as "height!: Uint", b.digest as "digest!: Hex",
                   b.burn_block_height as "burn_block_height!: Uint",
                   coalesce(b.block_time, b.burn_block_time) as "time!: Ulong", true as "canonical!"
            from canonical c
            join block b on b.id = c.block_id
            where c.height = $1
            "#,
            height,
        )
        .fetch_optional(self.connection())
        .await
        .map_err(ReadError::reading("a block"))
    }

    /// The canonical block with the latest clock that is not later than a time; the highest of several. None
    /// when the mirror begins later.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn block_by_time(&mut self, seconds: i64) -> Result<Option<BlockAt>, ReadError> {
        sqlx::query_as!(
            BlockAt,
            r#"
            select b.index_block_hash as "id!: Hex", b.height as "height!: Uint", b.digest as "digest!: Hex",
                   b.burn_block_height as "burn_block_height!: Uint",
                   coalesce(b.block_time, b.burn_block_time) as "time!: Ulong", true as "canonical!"
            from block b
            join canonical c on c.block_id = b.id
            where coalesce(b.block_time, b.burn_block_time) <= $1
            order by coalesce(b.block_time, b.burn_block_time) desc, b.height desc
            limit 1
            "#,
            seconds,
        )
        .fetch_optional(self.connection())
        .await
        .map_err(ReadError::reading("the block of a time"))
    }

    /// The highest canonical block in the ancestry of a block (itself, when it is canonical). None when
    /// the branches part below the mirror's origin.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn canonical_ancestor(&mut self, id: &[u8]) -> Result<Option<BlockAt>, ReadError> {
        sqlx::query_as!(
            BlockAt,
            r#"
            with recursive walk as (
                select b.index_block_hash, b.parent, b.height, b.digest, b.burn_block_height,
                       coalesce(b.block_time, b.burn_block_time) as time, c.block_id is not null as canonical
                from block b
                left join canonical c on c.block_id = b.id
                where b.index_block_hash = $1
                union all
                select b.index_block_hash, b.parent, b.height, b.digest, b.burn_block_height,
                       coalesce(b.block_time, b.burn_block_time), c.block_id is not null
                from walk w
                join block b on b.index_block_hash = w.parent
                left join canonical c on c.block_id = b.id
                where not w.canonical
            )
            select index_block_hash as "id!: Hex", height as "height!: Uint", digest as "digest!: Hex",
                   burn_block_height as "burn_block_height!: Uint", time as "time!: Ulong", canonical as "canonical!"
            from walk
            where canonical
            "#,
            id,
        )
        .fetch_optional(self.connection())
        .await
        .map_err(ReadError::reading("the common ancestor"))
    }
}
