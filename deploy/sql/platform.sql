-- The reconciler's role at the platform, to be run there, by its owner. It may read the tables that are compared, and no
-- more. Leave out what is not to be read, and with platform.projects_query grant the tables of the query.
--   \password stxworx_compare

do $$
begin
    if not exists (select from pg_roles where rolname = 'stxworx_compare') then
        create role stxworx_compare login nosuperuser nocreatedb nocreaterole noreplication noinherit connection limit 4;
    end if;
    execute format('grant connect on database %I to stxworx_compare', current_database());
end
$$;
-- A fence behind the grants; the connection sets the same.
alter role stxworx_compare set default_transaction_read_only = on;
alter role stxworx_compare set statement_timeout = '10min';
alter role stxworx_compare set idle_in_transaction_session_timeout = '5min';
grant usage on schema public to stxworx_compare;
do $$
declare
    name text;
begin
    -- `users` may hold more than is anybody's business: then leave it out here, grant a view of the columns that are
    -- compared, and name it by platform.users_query and platform.badges_query.
    foreach name in array array['projects', 'nft_achievements', 'users', 'x_integrations', 'leaderboard_scores'] loop
        if to_regclass(name) is not null then
            execute format('grant select on %I to stxworx_compare', name);
        end if;
    end loop;
end
$$;
