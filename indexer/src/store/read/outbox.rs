//! The outbox as its followers read it: lines, and what the block of a line changed.
//!
//! Whatever is read here of a line stays the same for ever, because it depends on the block and its ancestry alone:
//! a follower that comes back sees what it would have seen.

use sqlx::PgConnection;
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};

use super::event::EventRow;
use super::{Hex, ReadError, Rows, Uint, Ulong, collect_within};

/// The channel on which a commit says that there is more.
const CHANNEL: &str = "stxworx_outbox";
/// Most bytes of values, or of states, in one page: followers queue such pages.
const PART_BYTES: usize = 1 << 20;

/// A block that became canonical, or ceased to be.
#[derive(Debug, Clone)]
pub struct LineRow {
    /// Its place in the outbox.
    pub id: Ulong,
    /// Became canonical, or ceased to be.
    pub applied: bool,
    /// Number of reorgs at that time.
    pub generation: Ulong,
    /// Milliseconds since it was written, by the database's clock.
    pub age_ms: i64,
    /// Local number of the block.
    pub block_id: i64,
    /// The block.
    pub block: Hex,
    /// The block below it.
    pub parent: Hex,
    /// Its height.
    pub height: Uint,
    /// Unix seconds; none before epoch 3.0.
    pub block_time: Option<Ulong>,
    /// Bitcoin height of the block's sortition.
    pub burn_block_height: Uint,
    /// Digest chain at the block.
    pub digest: Hex,
}

macro_rules! line_query {
    ($fetch:ident, $connection:expr, $from:literal $(, $args:expr)*) => {
        sqlx::query_as!(
            LineRow,
            r#"
            select o.id as "id!: Ulong", o.kind = 'applied' as "applied!", o.generation as "generation!: Ulong",
                   greatest(0, extract(epoch from clock_timestamp() - o.at) * 1000)::bigint as "age_ms!",
                   b.id as "block_id!", b.index_block_hash as "block!: Hex", b.parent as "parent!: Hex",
                   b.height as "height!: Uint", b.block_time as "block_time?: Ulong",
                   b.burn_block_height as "burn_block_height!: Uint", b.digest as "digest!: Hex"
            from "# + $from,
            $($args),*
        )
        .$fetch($connection)
        .await
        .map_err(ReadError::reading("the outbox"))
    };
}

/// The lines from one on, itself included, in order.
///
/// # Errors
/// When the database cannot be read.
pub async fn from(
    connection: &mut PgConnection,
    line: i64,
    limit: i64,
) -> Result<Vec<LineRow>, ReadError> {
    line_query!(
        fetch_all,
        connection,
        "outbox o join block b on b.id = o.block_id where o.id >= $1 order by o.id limit $2",
        line,
        limit
    )
}

/// One line.
///
/// # Errors
/// When the database cannot be read.
pub async fn line(connection: &mut PgConnection, line: i64) -> Result<Option<LineRow>, ReadError> {
    line_query!(
        fetch_optional,
        connection,
        "outbox o join block b on b.id = o.block_id where o.id = $1",
        line
    )
}

/// The newest line.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest(connection: &mut PgConnection) -> Result<Option<LineRow>, ReadError> {
    line_query!(
        fetch_optional,
        connection,
        "outbox o join block b on b.id = o.block_id order by o.id desc limit 1"
    )
}

/// A block by its index block hash, by its newest line.
///
/// # Errors
/// When the database cannot be read.
pub async fn block(
    connection: &mut PgConnection,
    block: &[u8],
) -> Result<Option<LineRow>, ReadError> {
    line_query!(
        fetch_optional,
        connection,
        "block b join outbox o on o.block_id = b.id where b.index_block_hash = $1 order by o.id desc limit 1",
        block
    )
}

/// The line by which a block left the canonical chain; none while it is canonical.
///
/// # Errors
/// When the database cannot be read.
pub async fn left(
    connection: &mut PgConnection,
    block: &[u8],
) -> Result<Option<LineRow>, ReadError> {
    line_query!(
        fetch_optional,
        connection,
        "block b join outbox o on o.block_id = b.id
         where b.index_block_hash = $1 and o.kind = 'retracted'
           and not exists (select from canonical c where c.block_id = b.id)
         order by o.id desc limit 1",
        block
    )
}

/// The canonical blocks above a height whose sortition is no later than a Bitcoin height, upwards, each by the line
/// that applied it last.
///
/// # Errors
/// When the database cannot be read.
pub async fn deep_above(
    connection: &mut PgConnection,
    height: i32,
    burn_height: i32,
    limit: i64,
) -> Result<Vec<LineRow>, ReadError> {
    // Bitcoin heights never fall along the chain, so that the first block that is not deep enough ends it; the rows
    // are cut before the outbox is looked at.
    line_query!(
        fetch_all,
        connection,
        "(select b.* from canonical c join block b on b.id = c.block_id
          where c.height > $1 order by c.height limit $3) b
         cross join lateral (
             select o.* from outbox o where o.block_id = b.id and o.kind = 'applied' order by o.id desc limit 1
         ) o
         where b.burn_block_height <= $2
         order by b.height",
        height,
        burn_height,
        limit
    )
}

/// The canonical block of a height, by the line that applied it last.
///
/// # Errors
/// When the database cannot be read.
pub async fn applied_at(
    connection: &mut PgConnection,
    height: i32,
) -> Result<Option<LineRow>, ReadError> {
    line_query!(
        fetch_optional,
        connection,
        "canonical c join block b on b.id = c.block_id
         join outbox o on o.block_id = b.id and o.kind = 'applied'
         where c.height = $1 order by o.id desc limit 1",
        height
    )
}

/// A page of a block's events, in order, behind a place (`tx_index`, ordinal).
///
/// # Errors
/// When the database cannot be read.
pub async fn events(
    connection: &mut PgConnection,
    block_id: i64,
    after: (i32, i32),
    limit: u32,
) -> Result<Rows<EventRow>, ReadError> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"
        select b.index_block_hash as "block!: Hex", e.height as "height!: Uint",
               b.burn_block_height as "burn_block_height!: Uint", t.txid as "txid!: Hex",
               e.tx_index as "tx_index!: Uint", e.ordinal as "ordinal!: Uint", e.kind as "kind!",
               k.name as "contract?", e.asset as "asset?", s.name as "sender?", r.name as "recipient?",
               e.amount::text as "amount?", e.unlock_height::text as "unlock_height?",
               e.topic as "topic?", e.value as "value?: Hex"
        from event e
        join block b on b.id = e.block_id
        join transaction t on t.block_id = e.block_id and t.tx_index = e.tx_index
        left join principal k on k.id = e.contract
        left join principal s on s.id = e.sender
        left join principal r on r.id = e.recipient
        where e.block_id = $1 and (e.tx_index, e.ordinal) > ($2::integer, $3::integer)
        order by e.tx_index, e.ordinal
        limit $4
        "#,
        block_id,
        after.0,
        after.1,
        i64::from(limit) + 1,
    )
    .fetch(connection);
    collect_within(rows, limit, PART_BYTES, |row| {
        row.value.as_ref().map_or(0, |value| value.0.len())
    })
    .await
    .map_err(ReadError::reading("a block's events"))
}

/// An entity that a block changed: how it stood after the block, and before it.
#[derive(Debug)]
pub struct TouchedRow {
    /// Local number of the projection.
    pub projection: i16,
    /// Its name.
    pub name: String,
    /// The entity.
    pub entity: String,
    /// The state after the block, JSON.
    pub after: String,
    /// Where in the block the last change stands.
    pub position: Ulong,
    /// The state before the block, JSON; none when the block made the entity.
    pub before: Option<String>,
    /// The block that left it so.
    pub before_block: Option<Hex>,
    /// That block's height.
    pub before_height: Option<Uint>,
    /// Where in that block.
    pub before_position: Option<Ulong>,
}

/// A page of the entities that a block changed, behind one by (projection, entity).
///
/// # Errors
/// When the database cannot be read.
pub async fn touched(
    connection: &mut PgConnection,
    block_id: i64,
    height: i32,
    after: (i16, &str),
    limit: u32,
) -> Result<Rows<TouchedRow>, ReadError> {
    // The block's ancestors are those of `walk`, down to the first canonical one, and what is canonical below.
    let rows = sqlx::query_as!(
        TouchedRow,
        r#"
        with recursive walk as (
            select p.id, p.parent, p.height, c.block_id is not null as canonical
            from block b
            join block p on p.index_block_hash = b.parent
            left join canonical c on c.block_id = p.id
            where b.id = $1
            union all
            select p.id, p.parent, p.height, c.block_id is not null
            from walk w
            join block p on p.index_block_hash = w.parent
            left join canonical c on c.block_id = p.id
            where not w.canonical
        ), touched as (
            select distinct on (v.projection, v.entity) v.projection, v.entity, v.state, v.position
            from projection_version v
            where v.block_id = $1 and (v.projection, v.entity) > ($3::smallint, $4::text)
            order by v.projection, v.entity, v.position desc
            limit $5
        )
        select t.projection as "projection!", p.name as "name!", t.entity as "entity!", t.state::text as "after!",
               t.position as "position!: Ulong", o.state::text as "before?",
               ob.index_block_hash as "before_block?: Hex", o.height as "before_height?: Uint",
               o.position as "before_position?: Ulong"
        from touched t
        join projection p on p.id = t.projection
        left join lateral (
            select v.state, v.height, v.position, v.block_id
            from projection_version v
            where v.projection = t.projection and v.entity = t.entity and v.height < $2
              and (exists (select from walk w where w.id = v.block_id)
                   or (v.height <= (select w.height from walk w where w.canonical)
                       and exists (select from canonical c where c.block_id = v.block_id)))
            order by v.height desc, v.position desc
            limit 1
        ) o on true
        left join block ob on ob.id = o.block_id
        order by t.projection, t.entity
        "#,
        block_id,
        height,
        after.0,
        after.1,
        i64::from(limit) + 1,
    )
    .fetch(connection);
    collect_within(rows, limit, PART_BYTES, |row| {
        row.after.len() + row.before.as_ref().map_or(0, String::len)
    })
    .await
    .map_err(ReadError::reading("what a block changed"))
}

/// Hears when the outbox grows, on a connection of its own.
pub struct Listener(PgListener);

impl Listener {
    /// Listens on the database of a pool.
    ///
    /// # Errors
    /// When it cannot be reached, or is a standby, which has no notifications.
    pub async fn open(pool: &PgPool) -> Result<Self, ReadError> {
        let failed = || ReadError::reading("notices of the outbox");
        // The pool's connections are for its readers.
        let own = PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with((*pool.connect_options()).clone());
        let mut listener = PgListener::connect_with(&own).await.map_err(failed())?;
        listener.listen(CHANNEL).await.map_err(failed())?;
        Ok(Self(listener))
    }

    /// Waits for the next notice. A connection that was lost and made again counts as one.
    ///
    /// # Errors
    /// When the connection is lost for good.
    pub async fn heard(&mut self) -> Result<(), ReadError> {
        self.0
            .try_recv()
            .await
            .map(|_| ())
            .map_err(ReadError::reading("notices of the outbox"))
    }
}
