-- Who may write. The lease says who should; the writer's epoch, which every commit names, holds everybody else to it.
create table lease (
    only_row     boolean primary key default true check (only_row),
    holder       text not null,
    epoch        bigint not null,
    taken_at     timestamptz not null default clock_timestamp(),
    renewed_at   timestamptz not null default clock_timestamp(),
    expires_at   timestamptz not null
);
comment on table lease is 'One row: the process that writes the mirror, and until when the others wait for it. A row of its own, so that a renewal never waits for a commit.';
comment on column lease.holder is 'HOST:PROCESS-ID:NUMBER of the one that took it last.';
comment on column lease.epoch is 'The mirror''s writer_epoch that came with it. Where the mirror''s is higher, an operator''s command has ended this writer''s claim.';
comment on column lease.renewed_at is 'Last renewal, by the database''s clock.';
comment on column lease.expires_at is 'From then on another process may take it, by the database''s clock. In the past at once when it was released.';

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select on lease to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant select, insert, update on lease to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
