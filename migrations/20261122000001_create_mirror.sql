-- The mirror: raw payloads, every fork of the chain, the canonical pointer, projections, digests, outbox.
--
-- Two rules hold everywhere:
--   * Facts carry the block in which they stand and are never rewritten. A reorg changes `canonical`
--     (and the `projection_current` pointers) and nothing else.
--   * `block.id` and `principal.id` are local surrogates that keep rows narrow. They differ between
--     replicas and mean nothing outside; identity is the index block hash, or the principal's text.

-- Roles -------------------------------------------------------------------------------------------
-- A managed server may not let us create roles; the mirror works without them, only less fenced.
do $$
begin
    if not exists (select from pg_roles where rolname = 'stxworx_reader') then
        create role stxworx_reader nologin;
    end if;
    if not exists (select from pg_roles where rolname = 'stxworx_writer') then
        create role stxworx_writer nologin;
    end if;
exception
    when insufficient_privilege then
        raise notice 'cannot create the roles stxworx_reader and stxworx_writer: % ', sqlerrm;
    when duplicate_object or unique_violation then
        null; -- another database of the same cluster is being migrated at this moment
end
$$;

-- Settings that the rows depend on --------------------------------------------------------------------
create table mirror (
    only_row         boolean primary key default true check (only_row),
    network          text not null,
    follow           jsonb not null,
    created_at       timestamptz not null default now(),
    origin           bytea check (octet_length(origin) = 32),
    writer_epoch     bigint not null default 0,
    commits          bigint not null default 0,
    generation       bigint not null default 0,
    tip_block_id     bigint,
    inbox_watermark  bigint not null default 0
);
comment on table mirror is 'One row: what this mirror follows, where it begins, and its committed position (the watermark).';
comment on column mirror.follow is 'The follow set that shaped the rows. A daemon configured otherwise refuses to write.';
comment on column mirror.origin is 'Index block hash of the lowest mirrored block: genesis, or where the mirror began.';
comment on column mirror.writer_epoch is 'Rises with each writer that takes over; every commit names its epoch, so a stale writer fails.';
comment on column mirror.commits is 'Rises with every commit; each names the count it was made from, so a lost or foreign commit shows.';
comment on column mirror.generation is 'Rises by one with every reorg.';
comment on column mirror.tip_block_id is 'Canonical tip; null while empty.';
comment on column mirror.inbox_watermark is 'Every inbox row up to this id has been processed.';

-- Inbox: what arrived, as it arrived ----------------------------------------------------------------
create table inbox (
    id             bigint generated always as identity primary key,
    received_at    timestamptz not null default clock_timestamp(),
    endpoint       smallint not null,
    state          smallint not null default 0,
    deliveries     integer not null default 1,
    body_bytes     bigint not null,
    sha256         bytea not null check (octet_length(sha256) = 32),
    index_block_hash        bytea,
    parent_index_block_hash bytea,
    error          text,
    body           bytea not null
);
comment on table inbox is 'Every payload a source delivered, stored before it is acknowledged.';
comment on column inbox.endpoint is 'Which endpoint: 1 new_block, 2 new_burn_block, 3 new_mempool_tx, 4 drop_mempool_tx, 5 new_microblocks, 6 attachments/new, 7 stackerdb_chunks, 8 proposal_response, 9 mined_block, 10 mined_microblock, 11 mined_nakamoto_block.';
comment on column inbox.state is '0 received, 1 applied, 2 duplicate of an applied block, 3 detached (its parent is missing), 4 quarantined (could not be decoded), 5 kept (nothing derives from it yet), 6 superseded (genesis without its contents, as a node sends it at each start).';
comment on column inbox.deliveries is 'How often exactly these bytes arrived.';
comment on column inbox.body_bytes is 'Size of the body as it arrived, in bytes.';
comment on column inbox.sha256 is 'Of the body as it arrived.';
comment on column inbox.error is 'Why it is quarantined.';
comment on column inbox.body is 'zstd frame; continued in inbox_chunk when large.';
-- Already compressed: neither compress again nor read the page row by row.
alter table inbox alter column body set storage external;
create unique index inbox_sha256 on inbox (sha256);
create index inbox_pending on inbox (state, id) where state in (0, 3, 4);

create table inbox_chunk (
    inbox_id  bigint not null references inbox (id) on delete cascade deferrable initially deferred,
    seq       integer not null,
    body      bytea not null,
    primary key (inbox_id, seq)
);
comment on table inbox_chunk is 'Continuation of large bodies, so that they are received in bounded memory.';
alter table inbox_chunk alter column body set storage external;

-- Dictionary ----------------------------------------------------------------------------------------
create table principal (
    id    integer primary key,
    name  text not null
);
comment on table principal is 'Principals by a small local number. Not fork dependent: a name is a name.';
create unique index principal_name on principal (name);

-- Facts ---------------------------------------------------------------------------------------------
create table burn_block (
    hash            bytea primary key check (octet_length(hash) = 32),
    height          integer not null,
    parent          bytea,
    consensus_hash  bytea,
    inbox_id        bigint not null
);
comment on table burn_block is 'Bitcoin blocks as the node evaluated them, of every fork. Payloads of old nodes name no parent and no consensus hash.';
create index burn_block_height on burn_block (height);

create table block (
    id                bigint primary key,
    index_block_hash  bytea not null check (octet_length(index_block_hash) = 32),
    parent            bytea not null check (octet_length(parent) = 32),
    height            integer not null,
    block_hash        bytea not null,
    block_time        bigint,
    burn_block_hash   bytea not null,
    burn_block_height integer not null,
    burn_block_time   bigint not null,
    consensus_hash    bytea,
    burn_view         bytea,
    miner_txid        bytea not null,
    tenure_height     integer,
    listed_transactions integer not null,
    listed_events     integer not null,
    rows_digest       bytea not null check (octet_length(rows_digest) = 32),
    digest            bytea not null check (octet_length(digest) = 32),
    inbox_id          bigint not null,
    seen_at           timestamptz not null default clock_timestamp()
);
comment on table block is 'Every block of every fork.';
comment on column block.burn_block_hash is 'Bitcoin block of the sortition that elected the tenure; constant over an extended tenure.';
comment on column block.burn_block_time is 'Unix seconds.';
comment on column block.burn_view is 'Consensus hash up to which a tenure change in this block has seen Bitcoin.';
comment on column block.block_time is 'Unix seconds; null before epoch 3.0.';
comment on column block.listed_transactions is 'Transactions in the payload, mirrored or not.';
comment on column block.rows_digest is 'SHA-256 over the canonical encoding of this block''s rows.';
comment on column block.digest is 'SHA-256(digest of the parent || index_block_hash || rows_digest): the digest chain.';
create unique index block_index_block_hash on block (index_block_hash);
create index block_height on block (height);
create index block_parent on block (parent);

create table canonical (
    height    integer primary key,
    block_id  bigint not null unique references block (id)
);
comment on table canonical is 'The canonical chain: one block per height (CH-2). The only thing a reorg rewrites.';

create table transaction (
    block_id       bigint not null,
    tx_index       integer not null,
    height         integer not null,
    txid           bytea not null check (octet_length(txid) = 32),
    kind           text not null,
    status         text not null,
    sender         integer,
    sponsor        integer,
    contract       integer,
    nonce          numeric(20, 0),
    fee            numeric(20, 0),
    function       text,
    raw_tx         bytea not null,
    raw_result     bytea not null,
    burnchain_op   text,
    vm_error       text,
    primary key (block_id, tx_index)
);
comment on table transaction is 'A transaction as it stands in one block; the same txid may stand in several blocks with different results.';
comment on column transaction.fee is 'Micro-STX.';
comment on column transaction.vm_error is 'The node''s words; not consensus data, not in the digest.';
create index transaction_txid on transaction using hash (txid);
create index transaction_contract on transaction (contract, height, tx_index) where contract is not null;

create table event (
    block_id       bigint not null,
    tx_index       integer not null,
    ordinal        integer not null,
    height         integer not null,
    kind           smallint not null,
    contract       integer,
    sender         integer,
    recipient      integer,
    amount         numeric(39, 0),
    unlock_height  numeric(20, 0),
    asset          text,
    topic          text,
    value          bytea,
    primary key (block_id, tx_index, ordinal)
);
comment on table event is 'Committed events.';
comment on column event.ordinal is 'Position among the committed events of the transaction. The node''s event_index is no key: its numbering differs between versions.';
comment on column event.kind is '1 contract, 2 stx_transfer, 3 stx_mint, 4 stx_burn, 5 stx_lock, 6 ft_transfer, 7 ft_mint, 8 ft_burn, 9 nft_transfer, 10 nft_mint, 11 nft_burn, 12 other.';
comment on column event.contract is 'The contract that printed, defines the token, or locked.';
comment on column event.amount is 'Base units: micro-STX, or the token''s smallest unit.';
comment on column event.topic is 'Field topic (or event) of a printed tuple.';
comment on column event.value is 'Serialised Clarity value of a print or an NFT id; memo of a transfer; JSON of an unknown kind.';
create index event_contract on event (contract, height, tx_index, ordinal) where contract is not null;

-- Projections ---------------------------------------------------------------------------------------
create table projection (
    id       smallint primary key,
    name     text not null unique,
    version  integer not null
);
comment on table projection is 'Projections that this mirror holds, with the version of the rules that made their rows.';

create table projection_version (
    id          bigint primary key,
    projection  smallint not null references projection (id),
    block_id    bigint not null,
    height      integer not null,
    position    bigint not null,
    entity      text not null,
    state       jsonb not null
);
comment on table projection_version is 'The state of an entity after a change; depends on the block''s ancestry alone, so it stays true for that block for ever.';
comment on column projection_version.position is 'Place within the block: tx_index * 2^32 + ordinal of the cause.';
create unique index projection_version_fact on projection_version (block_id, projection, entity, position);
create index projection_version_entity on projection_version (projection, entity, height desc, position desc);

create table projection_current (
    projection  smallint not null,
    entity      text not null,
    version_id  bigint not null,
    primary key (projection, entity)
) with (fillfactor = 80);
comment on table projection_current is 'The newest canonical version of each entity.';

-- History of the pointer, and what must be told ------------------------------------------------------
create table reorg (
    generation        bigint primary key,
    at                timestamptz not null default clock_timestamp(),
    cause             text not null check (cause in ('stacks', 'burn')),
    ancestor          bytea,
    ancestor_height   integer,
    old_tip           bytea not null,
    old_tip_height    integer not null,
    new_tip           bytea not null,
    new_tip_height    integer not null,
    depth             integer not null,
    left_final        boolean not null
);
comment on table reorg is 'Every change of the canonical chain that was not a plain extension.';
comment on column reorg.cause is 'stacks: a block made another branch better. burn: Bitcoin left the blocks behind.';
comment on column reorg.depth is 'Blocks that ceased to be canonical.';
comment on column reorg.left_final is 'True when a block counted as final was left: invariant CH-3 was violated by the chain.';

create table outbox (
    id          bigint generated always as identity primary key,
    at          timestamptz not null default clock_timestamp(),
    generation  bigint not null,
    kind        text not null check (kind in ('applied', 'retracted')),
    block_id    bigint not null
);
comment on table outbox is 'In commit order: blocks that became canonical and blocks that ceased to be. Written in the transaction that made it so (PU-1).';

-- Mempool -------------------------------------------------------------------------------------------
create table mempool_sighting (
    txid       bytea primary key check (octet_length(txid) = 32),
    first_seen timestamptz not null,
    inbox_id   bigint not null,
    dropped_at timestamptz,
    drop_reason text,
    replaced_by bytea
);
comment on table mempool_sighting is 'Transactions the node saw before they were mined, and those it dropped.';

-- Views for people and backends ----------------------------------------------------------------------
create view canonical_block as
    select b.* from canonical c join block b on b.id = c.block_id;
comment on view canonical_block is 'Blocks of the canonical chain.';

create view canonical_transaction as
    select b.index_block_hash, t.height, t.tx_index, t.txid, t.kind, t.status, s.name as sender, p.name as sponsor,
           k.name as contract, t.function, t.nonce, t.fee, t.raw_tx, t.raw_result, t.burnchain_op, t.vm_error
    from canonical c
    join block b on b.id = c.block_id
    join transaction t on t.block_id = b.id
    left join principal s on s.id = t.sender
    left join principal p on p.id = t.sponsor
    left join principal k on k.id = t.contract;
comment on view canonical_transaction is 'Transactions of the canonical chain, with principals as text.';

create view canonical_event as
    select b.index_block_hash, e.height, e.tx_index, e.ordinal, t.txid, e.kind, k.name as contract, e.asset,
           s.name as sender, r.name as recipient, e.amount, e.unlock_height, e.topic, e.value
    from canonical c
    join block b on b.id = c.block_id
    join event e on e.block_id = b.id
    join transaction t on t.block_id = e.block_id and t.tx_index = e.tx_index
    left join principal k on k.id = e.contract
    left join principal s on s.id = e.sender
    left join principal r on r.id = e.recipient;
comment on view canonical_event is 'Events of the canonical chain, with principals as text.';

-- Beginning anew --------------------------------------------------------------------------------------
-- The writer's role may not rewrite facts, but when a mirror turns out to begin lower than it did, all of
-- them are to be made again from the inbox. This is the one door to that.
create function empty_derived_tables(claimed_epoch bigint) returns void
    language plpgsql security definer set search_path from current as $$
begin
    perform from mirror where writer_epoch = claimed_epoch for update;
    if not found then
        raise exception 'writer epoch % has no claim on this mirror', claimed_epoch;
    end if;
    truncate canonical, block, transaction, event, burn_block, projection_version, projection_current,
        mempool_sighting, outbox;
end
$$;
comment on function empty_derived_tables is 'Empties every table that follows from the inbox; for the present writer only.';
revoke all on function empty_derived_tables from public;

-- Grants --------------------------------------------------------------------------------------------
do $$
declare
    here text := quote_ident(current_schema());
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        execute 'grant usage on schema ' || here || ' to stxworx_reader';
        execute 'grant select on all tables in schema ' || here || ' to stxworx_reader';
        -- Raw payloads are for the writer and for operators.
        revoke all on inbox, inbox_chunk from stxworx_reader;
        grant select (id, received_at, endpoint, state, deliveries, body_bytes, sha256,
                index_block_hash, parent_index_block_hash, error)
            on inbox to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        execute 'grant usage on schema ' || here || ' to stxworx_writer';
        execute 'grant select, insert on all tables in schema ' || here || ' to stxworx_writer';
        execute 'grant usage on all sequences in schema ' || here || ' to stxworx_writer';
        -- Facts are never rewritten: only the pointers and the notes about progress are.
        grant update on mirror, inbox, projection, projection_current, mempool_sighting to stxworx_writer;
        grant delete on canonical, projection_current, inbox_chunk to stxworx_writer;
        grant execute on function empty_derived_tables to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
