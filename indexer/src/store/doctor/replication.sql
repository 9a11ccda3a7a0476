select 'replica' as "kind!", coalesce(nullif(application_name, ''), client_addr::text, '?') as "name!",
       coalesce(state, '?') as "state!",
       case when pg_is_in_recovery() then null
            else pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint end as "bytes",
       extract(epoch from replay_lag)::bigint as "seconds"
from pg_stat_replication
-- A base backup is connected as well, and replays nothing.
where state <> 'backup'
union all
select 'slot', slot_name::text, case when active then 'active' else 'inactive' end,
       case when pg_is_in_recovery() then null
            else pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint end,
       null
from pg_replication_slots where not temporary
union all
-- A replica that has all that its primary sent is not behind, however quiet the primary is.
select 'self', 'this server', case when (select count(*) from pg_stat_wal_receiver) > 0 then 'streaming' else 'disconnected' end,
       pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint,
       case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
            else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::bigint end
where pg_is_in_recovery()
