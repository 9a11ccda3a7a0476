-- Backfills from event archives: how far each has come, and a place through which their payloads enter in bulk.
create table archive_job (
    id               bigint generated always as identity primary key,
    fingerprint      bytea not null check (octet_length(fingerprint) = 32),
    name             text not null,
    size_bytes       bigint,
    head_sha256      bytea not null check (octet_length(head_sha256) = 32),
    scope            bytea check (octet_length(scope) = 32),
    from_height      integer,
    to_height        integer,
    state            smallint not null default 0 check (state in (0, 1)),
    position_bytes   bigint not null default 0,
    lines            bigint not null default 0,
    plain_json       boolean,
    last_row_id      bigint,
    lowest_height    integer,
    greatest_height  integer,
    blocks           bigint not null default 0,
    burn_blocks      bigint not null default 0,
    whole            bigint not null default 0,
    stored           bigint not null default 0,
    repeated         bigint not null default 0,
    repeated_ids     bigint not null default 0,
    skipped          bigint not null default 0,
    out_of_range     bigint not null default 0,
    bad_rows         bigint not null default 0,
    started_at       timestamptz not null default clock_timestamp(),
    updated_at       timestamptz not null default clock_timestamp()
);
comment on table archive_job is 'Backfills from event archives. Position and counts move in the transaction that stores the payloads, so a job that was killed goes on where it was.';
comment on column archive_job.fingerprint is 'SHA-256 over what makes it the same job: size and beginning of the file, what it is cut down to, the range of heights.';
comment on column archive_job.name is 'The input as it was named first.';
comment on column archive_job.size_bytes is 'Size of the file as it is stored, in bytes; null where it is not known beforehand.';
comment on column archive_job.head_sha256 is 'Of the first MiB of the file as it is stored.';
comment on column archive_job.scope is 'Null where payloads stay whole. Else SHA-256 of the follow set that they are cut down to.';
comment on column archive_job.from_height is 'Lowest Stacks height that is taken; null for no bound.';
comment on column archive_job.to_height is 'Greatest Stacks height that is taken; null for no bound.';
comment on column archive_job.state is '0 not finished, 1 read to the end.';
comment on column archive_job.position_bytes is 'Bytes of uncompressed text that are done with; always the end of a line.';
comment on column archive_job.lines is 'Lines that are done with.';
comment on column archive_job.plain_json is 'What the newest row that proved it said: true, its JSON stands without COPY escapes; false, with them.';
comment on column archive_job.last_row_id is 'Greatest row id so far.';
comment on column archive_job.lowest_height is 'Lowest Stacks height met, in the range or not.';
comment on column archive_job.greatest_height is 'Greatest Stacks height met, in the range or not.';
comment on column archive_job.blocks is 'Payloads of Stacks blocks taken.';
comment on column archive_job.burn_blocks is 'Payloads of Bitcoin blocks taken.';
comment on column archive_job.whole is 'Of the blocks, those that could not be cut down and stay whole.';
comment on column archive_job.stored is 'Payloads that were new in the inbox.';
comment on column archive_job.repeated is 'Payloads that were in the inbox before.';
comment on column archive_job.repeated_ids is 'Rows whose id is not above all before.';
comment on column archive_job.skipped is 'Rows of other paths, which an archive is not read for.';
comment on column archive_job.out_of_range is 'Blocks outside the range of heights.';
comment on column archive_job.bad_rows is 'Payloads that are not what their path promises; stored as they are.';
create unique index archive_job_fingerprint on archive_job (fingerprint);

-- Not logged: it is empty whenever no transaction works on it.
create unlogged table archive_staging (
    seq         integer not null,
    endpoint    smallint not null,
    deliveries  integer not null,
    body_bytes  bigint not null,
    sha256      bytea not null,
    source      smallint not null,
    scope       bytea,
    body        bytea not null
);
comment on table archive_staging is 'Payloads on their way into the inbox: filled by COPY and emptied in the same transaction.';
comment on column archive_staging.seq is 'Place in the archive, so that numbers in the inbox rise in its order.';
comment on column archive_staging.body_bytes is 'Size of the body, uncompressed, in bytes.';
comment on column archive_staging.body is 'zstd frame.';
alter table archive_staging alter column body set storage external;

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select on archive_job to stxworx_reader;
        -- Only for it to be known empty: what is in it is never committed.
        grant select on archive_staging to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant select, insert, update on archive_job to stxworx_writer;
        grant usage on sequence archive_job_id_seq to stxworx_writer;
        grant select, insert, truncate on archive_staging to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
