-- What is wrong with the roles, a line for each role and reason; nothing where all is as it should be.
with relation as (
    select c.oid, c.relname::text as name from pg_class c
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'v')
),
-- What the API cannot do without.
core (name) as (
    values ('mirror'), ('block'), ('burn_block'), ('canonical'), ('transaction'), ('event'), ('principal'), ('projection'),
           ('projection_version'), ('projection_current'), ('outbox'), ('reorg'), ('lease'), ('cursor_proof')
),
-- Facts: written once.
fact (name) as (values ('block'), ('transaction'), ('event'), ('projection_version')),
reader as (select oid from pg_roles where rolname = 'stxworx_reader'),
writer as (select oid from pg_roles where rolname = 'stxworx_writer')
select 'stxworx_reader' as "role!", 'is not there: the API reads with every right of its own role' as "wrong!"
where not exists (select from reader)
union all
select 'stxworx_writer', 'is not there: a writer needs the rights of the tables'' owner'
where not exists (select from writer)
union all
select 'stxworx_reader', 'may not be taken by ' || current_user || ': the API reads with every right of that role'
from reader where not pg_has_role(current_user, 'stxworx_reader', 'member')
union all
select 'stxworx_reader', 'may not read ' || string_agg(r.name, ', ' order by r.name)
from reader w, relation r join core using (name)
where not has_table_privilege(w.oid, r.oid, 'select') having count(*) > 0
union all
select 'stxworx_reader', 'may change ' || string_agg(r.name, ', ' order by r.name)
from reader w, relation r
where has_table_privilege(w.oid, r.oid, 'insert, update, delete, truncate')
   or has_any_column_privilege(w.oid, r.oid, 'insert, update')
having count(*) > 0
union all
select 'stxworx_reader', 'may read what is secret or raw: ' || string_agg(r.name, ', ' order by r.name)
from reader w, relation r
where r.name in ('inbox_chunk', 'webhook_secret') and has_any_column_privilege(w.oid, r.oid, 'select')
having count(*) > 0
union all
select 'stxworx_writer', 'may change or remove facts: ' || string_agg(r.name, ', ' order by r.name)
from writer w, relation r join fact using (name)
where has_table_privilege(w.oid, r.oid, 'update, delete, truncate')
having count(*) > 0
union all
select 'stxworx_writer', 'may not add to ' || string_agg(r.name, ', ' order by r.name)
from writer w, relation r join fact using (name)
where not has_table_privilege(w.oid, r.oid, 'insert') having count(*) > 0
