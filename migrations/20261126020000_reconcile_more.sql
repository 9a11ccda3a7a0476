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
