-- $1: a digest is shown at multiples of so many blocks; $2: with at least so many above it.
select
    (select extract(epoch from received_at)::bigint from inbox order by id desc limit 1) as last_received,
    (select extract(epoch from clock_timestamp() - received_at)::bigint
     from inbox where state = 0 order by id limit 1) as oldest_received,
    (select extract(epoch from clock_timestamp() - received_at)::bigint
     from inbox where state = 3 order by id limit 1) as oldest_detached,
    (select extract(epoch from clock_timestamp() - received_at)::bigint
     from inbox where state = 4 order by id limit 1) as oldest_quarantined,
    coalesce(tip.block_time, tip.burn_block_time) as "tip_time?",
    (select extract(epoch from clock_timestamp() - o.at)::bigint from outbox o
     where o.id > (select outbox_watermark from ledger_progress) order by o.id limit 1) as unbooked_seconds,
    (select extract(epoch from clock_timestamp() - o.at)::bigint from outbox o
     where o.id > (select r.outbox_id from reconcile_run r where r.state = 'done' and r.applies order by r.id desc limit 1) order by o.id limit 1)
        as unreconciled_seconds,
    exists (select from lease where expires_at > clock_timestamp()) as "lease_held!",
    coalesce((select writer_epoch from mirror), 0) as "epoch!",
    shown.height as "checkpoint_height?",
    shown.digest as "checkpoint?"
from (select 1) as one
left join lateral (
    select b.height, b.block_time, b.burn_block_time
    from canonical c join block b on b.id = c.block_id
    order by c.height desc limit 1
) tip on true
left join lateral (
    select b.height, b.digest
    from canonical c join block b on b.id = c.block_id
    where c.height = (tip.height - $2::integer) / $1::integer * $1::integer
) shown on true
