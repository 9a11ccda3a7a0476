-- Sources that are asked: what they still have to bring, and where two of them disagree.
alter table inbox add column block_height integer;
comment on column inbox.block_height is 'Stacks height of the block that it carries; null until it was decoded, and for other payloads.';
comment on column inbox.index_block_hash is 'The block that it carries. A source that is asked tells it with the payload; else null until it was decoded.';
create index inbox_waiting_block on inbox (index_block_hash) where state in (0, 3);

create table repair_gap (
    missing        bytea primary key check (octet_length(missing) = 32),
    waiting        bytea not null check (octet_length(waiting) = 32),
    waiting_height integer,
    opened_at      timestamptz not null default clock_timestamp(),
    state          text not null check (state in ('open', 'given_up')),
    attempts       integer not null default 0,
    fetched        integer not null default 0,
    retry_at       timestamptz not null default clock_timestamp(),
    last_error     text
);
comment on table repair_gap is 'Blocks that others wait for and that are being fetched; a row goes when its block is there.';
comment on column repair_gap.missing is 'Index block hash of the block that is not there. Moves down as the gap is filled from above.';
comment on column repair_gap.waiting is 'The lowest block above it.';
comment on column repair_gap.state is 'open: it is being fetched. given_up: every source failed; tried again at retry_at.';
comment on column repair_gap.attempts is 'How often every source was asked for this block in vain, since the last one was fetched or given up.';
comment on column repair_gap.fetched is 'Blocks fetched for this gap so far.';
comment on column repair_gap.retry_at is 'Not before.';

create table backfill_job (
    id           bigint generated always as identity primary key,
    source       text not null check (source in ('node', 'api', 'archive')),
    place        text not null,
    from_height  integer not null check (from_height >= 0),
    to_height    integer,
    next_height  integer not null,
    last_block   bytea check (octet_length(last_block) = 32),
    state        text not null check (state in ('running', 'stopped', 'overlapping', 'done')),
    started_at   timestamptz not null default clock_timestamp(),
    changed_at   timestamptz not null default clock_timestamp(),
    finished_at  timestamptz,
    error        text
);
comment on table backfill_job is 'Journal of backfills: what was asked for, and how far each has come.';
comment on column backfill_job.place is 'The source''s address, or the archive''s file, without secrets.';
comment on column backfill_job.from_height is 'First Stacks height, included.';
comment on column backfill_job.to_height is 'Last Stacks height, included; null for the tip at the time.';
comment on column backfill_job.next_height is 'Every height below it is stored in the inbox, from from_height on.';
comment on column backfill_job.last_block is 'Index block hash of the block at next_height - 1.';
comment on column backfill_job.state is 'running; stopped: resumed by the same command; overlapping: stored, not yet seen to connect with the mirror; done.';
comment on column backfill_job.error is 'Why it stopped; null when it was asked to.';

create table source_disagreement (
    applied_inbox_id  bigint not null,
    other_inbox_id    bigint not null,
    seen_at           timestamptz not null default clock_timestamp(),
    index_block_hash  bytea not null check (octet_length(index_block_hash) = 32),
    height            integer not null,
    applied_source    smallint not null,
    other_source      smallint not null,
    differences       text not null,
    primary key (applied_inbox_id, other_inbox_id)
);
comment on table source_disagreement is 'Two sources that tell different facts of one block. The first one stays mirrored; nothing is overwritten.';
comment on column source_disagreement.applied_inbox_id is 'The payload whose facts are mirrored.';
comment on column source_disagreement.other_inbox_id is 'The payload that says otherwise.';
comment on column source_disagreement.differences is 'What differs, in words, the first few.';
create index source_disagreement_block on source_disagreement (index_block_hash);

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select (block_height) on inbox to stxworx_reader;
        grant select on repair_gap, backfill_job, source_disagreement to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant select, insert, update, delete on repair_gap to stxworx_writer;
        grant select, insert, update on backfill_job to stxworx_writer;
        grant usage on all sequences in schema public to stxworx_writer;
        grant select, insert on source_disagreement to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
