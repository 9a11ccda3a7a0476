-- Reconciliation of assets, badges and users: what a run was told besides both sides, and how their rows are found.
alter table reconcile_run add inputs jsonb not null default '{}';
comment on column reconcile_run.inputs is 'What a run was told besides both sides, so that it can be carried out again: the node''s answers, results of audits, and which users and badges it looked at for their breaks'' sake.';

comment on column platform_row.place is 'Its number at the contract; 99999999999999999999 where it has none that can be read, and for badges and users.';
comment on column platform_row.key is 'The platform''s own key; empty where it has none. Of badges and users: the address, which may be empty, a space, and the key.';
create index platform_row_group on platform_row (entity, (split_part(key, ' ', 1))) where to_run is null and entity <> 'projects';
comment on index platform_row_group is 'Badges and users by address.';
create index platform_row_own on platform_row (entity, (substr(key, strpos(key, ' ') + 1))) where to_run is null and entity <> 'projects';
comment on index platform_row_own is 'Badges and users by the platform''s own key.';

-- The numbers are those of the projections, which never change: 11 assets, 12 profiles, 13 badges, 16 settings.
create index projection_current_name on projection_current (projection, (entity collate "C")) where projection in (11, 12, 16);
comment on index projection_current_name is 'Assets, users and settings in the order of their bytes.';
create index projection_version_holder on projection_version ((coalesce(state ->> 'owner', state ->> 'native_owner') collate "C"))
    where projection = 13;
comment on index projection_version_holder is 'Badges by whoever has them, by one of both tellings. One entry per change of a badge.';

-- Repairs of the platform that the configuration allows: decided here, carried out there, at most once.
create table repair_outbox (
    id           bigint generated always as identity primary key,
    break_id     bytea not null check (octet_length(break_id) = 32),
    rule         text not null,
    repair       text not null,
    sql          text not null,
    run_id       bigint not null references reconcile_run (id),
    state        text not null default 'wanted'
                 check (state in ('wanted', 'executing', 'done', 'verified', 'ineffective', 'refused', 'failed', 'unknown')),
    detail       text,
    wanted_at    timestamptz not null default clock_timestamp(),
    executed_at  timestamptz
);
comment on table repair_outbox is 'Statements for the platform''s database that the configuration lets the reconciler carry out, each at most once.';
comment on column repair_outbox.rule is 'The rule that found the break, and looks again afterwards.';
comment on column repair_outbox.repair is 'What kind of repair it is, as the configuration names it.';
comment on column repair_outbox.sql is 'The statement, with its values in place.';
comment on column repair_outbox.run_id is 'The run that saw the break.';
comment on column repair_outbox.state is 'wanted; executing: begun, and not known to have ended; done: it changed one row; verified: the rule passed afterwards; ineffective: it did not; refused: the row was not as it was seen, nothing was changed; failed: the platform said no; unknown: this program ended while it was executing. Nothing after wanted is tried again.';
comment on column repair_outbox.detail is 'Why it was refused or failed.';
create unique index repair_outbox_live on repair_outbox (break_id) where state in ('wanted', 'executing', 'done');
create index repair_outbox_break on repair_outbox (break_id, id);

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select on repair_outbox to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant select, insert, update on repair_outbox to stxworx_writer;
        grant usage on sequence repair_outbox_id_seq to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
