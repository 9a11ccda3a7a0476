-- Roles of stxworx, before the first migration: migrations then grant each what it is for. Run by a superuser, in the
-- database of the mirror; a second time changes nothing. Passwords are set apart, so that none stands in a file:
--   \password stxworx_owner
--
-- role                 logs in  may
-- stxworx_owner        yes      everything in this database: migrations, rebuild, a swap of recomputed rows
-- stxworx_daemon       yes      what stxworx_writer and stxworx_reader may: the roles indexer, webhooks, reconciler
-- stxworx_public       yes      what stxworx_reader may: the role api with api.administrative = false, and a replica
-- stxworx_writer       no       read; add facts and change what is not a fact; never change or remove a fact
-- stxworx_reader       no       read, but for raw payloads and secrets

do $$
declare
    role text;
begin
    foreach role in array array['stxworx_reader', 'stxworx_writer'] loop
        if not exists (select from pg_roles where rolname = role) then
            execute format('create role %I nologin', role);
        end if;
    end loop;
    foreach role in array array['stxworx_owner', 'stxworx_daemon', 'stxworx_public'] loop
        if not exists (select from pg_roles where rolname = role) then
            execute format('create role %I login nosuperuser nocreatedb nocreaterole noreplication', role);
        end if;
    end loop;
    -- A pool of readers becomes stxworx_reader by itself; the owner's, too.
    grant stxworx_reader to stxworx_owner, stxworx_daemon, stxworx_public;
    grant stxworx_writer to stxworx_daemon;
    -- What a person left open must not keep the dead rows of the database for ever.
    alter role stxworx_public set idle_in_transaction_session_timeout = '60s';
    execute format('alter database %I owner to stxworx_owner', current_database());
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect, temporary on database %I to stxworx_owner, stxworx_daemon, stxworx_public', current_database());
end
$$;
alter schema public owner to stxworx_owner;
revoke create on schema public from public;
