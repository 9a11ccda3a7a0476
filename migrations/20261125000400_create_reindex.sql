-- Re-indexing a range: stored payloads are replayed beside the mirror, compared with it block by block, and what
-- differs can be swapped in, and out again.
--
-- Only rows of blocks that differ are kept, of both sides, as they stand in the mirror's tables. A block that does
-- not differ needs no copy: its rows in the mirror are the recomputed ones. So the copies are few, are logged like
-- the rest, and a run that was killed finds them again.
--
-- The writer's role has no rights here, on purpose: it may never rewrite facts, and could if it filled these tables.
-- `stxworx reindex` is an operator's act and needs the owner of the schema, as `migrate` and `rebuild` do.
create table reindex_job (
    id                bigint generated always as identity primary key,
    started_at        timestamptz not null default clock_timestamp(),
    finished_at       timestamptz,
    started_by        text not null default session_user,
    from_height       integer not null check (from_height >= 0),
    to_height         integer not null,
    contract          text,
    applies           boolean not null,
    rules             jsonb not null,
    state             text not null default 'running'
        check (state in ('running', 'compared', 'applied', 'undone', 'refused', 'abandoned')),
    last_block_id     bigint not null default 0,
    last_block        bytea,
    blocks            bigint not null default 0,
    compared_rows     bigint not null default 0,
    differing_blocks  bigint not null default 0,
    differences       bigint not null default 0,
    newest_block_id   bigint,
    result            text,
    check (from_height <= to_height)
);
comment on table reindex_job is 'Every run of `stxworx reindex`: who, when, which heights, how far it came, and what came of it.';
comment on column reindex_job.to_height is 'Last height of the range.';
comment on column reindex_job.contract is 'Only rows of this contract are compared and swapped; null for all.';
comment on column reindex_job.applies is 'Is it to swap rows, or only to say what differs?';
comment on column reindex_job.rules is 'What decides which rows a payload gives: network, follow set, rules of digests and projections, origin. A run is resumed and applied under the same ones only.';
comment on column reindex_job.state is 'running (or killed), compared without a swap, applied, undone (applied, and put back), refused, abandoned (killed, and another was begun).';
comment on column reindex_job.last_block_id is 'Local number of the last block compared; a killed run goes on behind it.';
comment on column reindex_job.last_block is 'Identity of that block.';
comment on column reindex_job.newest_block_id is 'Greatest local number of a block when rows were swapped; later blocks stand on the swapped ones.';
create index reindex_job_state on reindex_job (state, id);

create table reindex_block (
    job_id            bigint not null references reindex_job (id) on delete cascade,
    block_id          bigint not null,
    index_block_hash  bytea not null check (octet_length(index_block_hash) = 32),
    height            integer not null,
    whole             boolean not null,
    selected          boolean not null,
    fault             boolean not null,
    rows_digest       bytea,
    digest            bytea,
    differences       jsonb not null,
    fingerprint       bytea,
    primary key (job_id, block_id)
);
comment on table reindex_block is 'Blocks of a run that are not what their payload says.';
comment on column reindex_block.whole is 'Some row differs; false when only digests do.';
comment on column reindex_block.selected is 'To be swapped; false for what a run that is limited to one contract leaves alone.';
comment on column reindex_block.fault is 'Its payload is missing, damaged or not enough, so that nothing can be recomputed.';
comment on column reindex_block.rows_digest is 'As recomputed.';
comment on column reindex_block.digest is 'As recomputed.';
comment on column reindex_block.differences is 'The first ones: table, row, column, expected, stored.';
comment on column reindex_block.fingerprint is 'Of its rows as the swap left them; see block_fingerprint.';

create table reindex_row (
    job_id    bigint not null references reindex_job (id) on delete cascade,
    replaced  boolean not null,
    block_id  bigint not null,
    relation  text not null check (relation in ('block', 'transaction', 'event', 'projection_version', 'digest')),
    content   jsonb not null
);
comment on table reindex_row is 'Rows of differing blocks: recomputed ones while a run goes on, and replaced ones until the next swap.';
comment on column reindex_row.replaced is 'False: recomputed, with principals by name and without numbers of versions. True: as it stood in the mirror.';
comment on column reindex_row.relation is 'The table, or digest: only the digest of a block above.';
create index reindex_row_block on reindex_row (job_id, replaced, relation, block_id);
create index reindex_row_entity on reindex_row (job_id, (content ->> 'entity'), (content ->> 'projection'))
    where relation = 'projection_version' and not replaced;

create function block_fingerprint(of_block bigint) returns bytea language sql stable as $$
    select sha256(convert_to(concat_ws(E'\n',
        (select to_jsonb(b)::text from block b where b.id = of_block),
        (select string_agg(to_jsonb(t)::text, E'\n' order by t.tx_index) from transaction t where t.block_id = of_block),
        (select string_agg(to_jsonb(e)::text, E'\n' order by e.tx_index, e.ordinal) from event e where e.block_id = of_block),
        (select string_agg(to_jsonb(v)::text, E'\n' order by v.id) from projection_version v where v.block_id = of_block)
    ), 'UTF8'))
$$;
comment on function block_fingerprint is 'SHA-256 over all rows of a block, local numbers included: has anything changed since?';

comment on column mirror.generation is 'Rises by one with every reorg, and when recomputed rows are swapped in or out.';

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select on reindex_job, reindex_block, reindex_row to stxworx_reader;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
