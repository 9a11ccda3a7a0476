//! What an examination asks the database about itself and about the work that it holds.
//!
//! Each question stands alone, so that one that fails hides no other. None writes.

use sqlx::PgPool;

use super::StoreError;
use super::load;
use crate::model::FollowSet;

/// The server and this database.
#[derive(Debug, Clone)]
pub struct Server {
    /// As `server_version_num`, for instance 150008.
    pub version: i32,
    /// In words.
    pub version_text: String,
    /// `UTF8` is the only one that holds every payload.
    pub encoding: String,
    /// Collation of the database.
    pub collation: String,
    /// Is it a replica?
    pub is_replica: bool,
    /// The role of this connection.
    pub role: String,
    /// May that role do anything at all?
    pub is_superuser: bool,
    /// Bytes of this database.
    pub bytes: i64,
    /// Microseconds of Unix time, by its clock.
    pub clock_us: i64,
    /// Its folder, on its own machine; none where this role may not know.
    pub data_directory: Option<String>,
}

/// Asks for the server.
///
/// # Errors
/// When the database fails.
pub async fn server(pool: &PgPool) -> Result<Server, StoreError> {
    sqlx::query_as!(
        Server,
        r#"select current_setting('server_version_num')::int as "version!", current_setting('server_version') as "version_text!",
               pg_encoding_to_char(d.encoding)::text as "encoding!", d.datcollate::text as "collation!",
               pg_is_in_recovery() as "is_replica!", current_user::text as "role!",
               (select rolsuper from pg_roles where rolname = current_user) as "is_superuser!",
               pg_database_size(d.oid) as "bytes!",
               (extract(epoch from clock_timestamp()) * 1000000)::bigint as "clock_us!",
               case when pg_has_role(current_user, 'pg_read_all_settings', 'member')
                    then current_setting('data_directory') end as data_directory
           from pg_database d where d.datname = current_database()"#
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("say what it is"))
}

/// Settings of the server that decide whether it keeps what it was given.
#[derive(Debug, Clone)]
pub struct Durability {
    /// Is a commit on the disk before it is acknowledged?
    pub fsync: bool,
    /// Are torn pages repaired?
    pub full_page_writes: bool,
    /// Does a changed byte on the disk show?
    pub checksums: bool,
    /// Is the log archived (`on` or `always`)?
    pub archives: bool,
    /// Are dead rows removed?
    pub autovacuum: bool,
}

/// Asks for them.
///
/// # Errors
/// When the database fails.
pub async fn durability(pool: &PgPool) -> Result<Durability, StoreError> {
    sqlx::query_as!(
        Durability,
        r#"select current_setting('fsync') = 'on' as "fsync!", current_setting('full_page_writes') = 'on' as "full_page_writes!",
               current_setting('data_checksums') = 'on' as "checksums!", current_setting('archive_mode') <> 'off' as "archives!",
               current_setting('autovacuum') = 'on' as "autovacuum!""#
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("say how it keeps what it is given"))
}

/// What a role may do that it must not, or may not do that it must.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The role; null where it is not there.
    pub role: String,
    /// What is wrong, in words.
    pub wrong: String,
}

/// Compares the roles' rights with what they are for: one that reads and sees no raw payload, one that writes and changes
/// no fact. Both must be there.
///
/// # Errors
/// When the database fails.
pub async fn grants(pool: &PgPool) -> Result<Vec<Grant>, StoreError> {
    sqlx::query_file_as!(Grant, "src/store/doctor/grants.sql")
        .fetch_all(pool)
        .await
        .map_err(StoreError::db("say what its roles may do"))
}

/// A table with many dead rows, or with old transaction numbers.
#[derive(Debug, Clone)]
pub struct Worn {
    /// Which.
    pub table: String,
    /// Rows, as estimated.
    pub live: i64,
    /// Versions that nobody can see any more.
    pub dead: i64,
    /// Transactions since its oldest row was frozen. The server stops at about 2,000,000,000.
    pub age: i64,
    /// Bytes with indexes.
    pub bytes: i64,
}

/// The tables that are worn most.
///
/// # Errors
/// When the database fails.
pub async fn worn(pool: &PgPool) -> Result<Vec<Worn>, StoreError> {
    sqlx::query_as!(
        Worn,
        r#"select c.relname::text as "table!", s.n_live_tup as "live!", s.n_dead_tup as "dead!",
               age(c.relfrozenxid)::bigint as "age!", pg_total_relation_size(c.oid) as "bytes!"
           from pg_class c join pg_stat_user_tables s on s.relid = c.oid
           where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace
           order by s.n_dead_tup desc, c.relname limit 50"#
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("look at its tables"))
}

/// Who is connected.
#[derive(Debug, Clone)]
pub struct Connections {
    /// Connections that the server gives to anybody but superusers.
    pub limit: i64,
    /// Taken, of all databases.
    pub used: i64,
    /// Of these, ours: they are named `stxworx …`.
    pub ours: i64,
}

/// Counts connections.
///
/// # Errors
/// When the database fails.
pub async fn connections(pool: &PgPool) -> Result<Connections, StoreError> {
    sqlx::query_as!(
        Connections,
        r#"select current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint as "limit!",
               count(*) filter (where backend_type = 'client backend') as "used!",
               count(*) filter (where backend_type = 'client backend' and application_name like 'stxworx %') as "ours!"
           from pg_stat_activity"#
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::db("count its connections"))
}

/// A transaction that has been open for long.
#[derive(Debug, Clone)]
pub struct Old {
    /// Process of the server.
    pub pid: i32,
    /// Who.
    pub who: String,
    /// What it says it is at: `active`, `idle in transaction`.
    pub state: String,
    /// For how long.
    pub seconds: i64,
}

/// Transactions of this database that are older than so many seconds, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn old_transactions(pool: &PgPool, seconds: i64) -> Result<Vec<Old>, StoreError> {
    sqlx::query_as!(
        Old,
        r#"select pid as "pid!", coalesce(usename, '?') || '/' || coalesce(nullif(application_name, ''), '?') as "who!",
               coalesce(state, '?') as "state!", extract(epoch from clock_timestamp() - xact_start)::bigint as "seconds!"
           from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid()
             and xact_start < clock_timestamp() - make_interval(secs => $1::bigint::double precision)
           order by xact_start limit 10"#,
        seconds
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::db("look for old transactions"))
}

/// A replica of this server, a slot for one, or this server as a replica.
#[derive(Debug, Clone)]
pub struct Replication {
    /// `replica`, `slot` or `self`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `streaming`, `active`, `inactive` and the like.
    pub state: String,
    /// Bytes of log that it is behind, or that are kept for it; none where that is not known.
    pub bytes: Option<i64>,
    /// Seconds that it is behind; none where that is not known.
    pub seconds: Option<i64>,
}

/// Replicas and slots as this server sees them, and itself where it is one.
///
/// # Errors
/// When the database fails.
pub async fn replication(pool: &PgPool) -> Result<Vec<Replication>, StoreError> {
    sqlx::query_file_as!(Replication, "src/store/doctor/replication.sql")
        .fetch_all(pool)
        .await
        .map_err(StoreError::db("say how its replicas are"))
}

/// What the mirror's work has come to.
#[derive(Debug, Clone)]
pub struct Work {
    /// Who took the lease last; none where nobody ever did.
    pub holder: Option<String>,
    /// Does the lease hold?
    pub is_held: Option<bool>,
    /// What that process counts as final.
    pub finality_burn_blocks: Option<i32>,
    /// Height of the tip.
    pub tip_height: Option<i32>,
    /// Seconds since the tip's own time.
    pub tip_age_seconds: Option<i64>,
    /// Seconds since the last payload came in.
    pub silent_seconds: Option<i64>,
    /// Payloads that wait to be processed.
    pub received: i64,
    /// Blocks that wait for their parent.
    pub detached: i64,
    /// Seconds that the oldest of them has waited.
    pub detached_seconds: Option<i64>,
    /// Payloads that could not be read.
    pub quarantined: i64,
    /// Gaps that no source could fill.
    pub given_up: i64,
    /// Contracts whose cursor at a node was another one.
    pub unproved: i64,
    /// States, balances and blocks that a node told otherwise.
    pub audited_otherwise: i64,
    /// Sources that told one block differently.
    pub disagreements: i64,
    /// Lines of the outbox that are not booked.
    pub unbooked: i64,
    /// Breaks with the platform that are open.
    pub breaks: i64,
    /// Seconds since a reconciliation ended well; none where none did.
    pub reconciled_seconds: Option<i64>,
    /// Why the newest reconciliation failed; none where it did not.
    pub reconcile_error: Option<String>,
}

/// Looks at the mirror's work. A reader may.
///
/// # Errors
/// When the database fails.
pub async fn work(pool: &PgPool) -> Result<Work, StoreError> {
    sqlx::query_file_as!(Work, "src/store/doctor/work.sql")
        .fetch_one(pool)
        .await
        .map_err(StoreError::db("say how the work stands"))
}

/// Webhooks that stand still. A reader may not look.
///
/// # Errors
/// When the database fails.
pub async fn paused_webhooks(pool: &PgPool) -> Result<i64, StoreError> {
    sqlx::query_scalar!(r#"select count(*) as "paused!" from webhook where state = 'paused'"#)
        .fetch_one(pool)
        .await
        .map_err(StoreError::db("count webhooks that are paused"))
}

/// Is the database's mirror the one that the configuration describes? An empty database is anybody's.
///
/// # Errors
/// [`StoreError::OtherMirror`] where it is not; or the database fails.
pub async fn same_mirror(
    pool: &PgPool,
    network: &str,
    follow: &FollowSet,
) -> Result<(), StoreError> {
    load::check(pool, network, follow).await
}
