select l.holder as "holder?", l.expires_at > clock_timestamp() as "is_held?",
       l.finality_burn_blocks as "finality_burn_blocks?",
       t.height as "tip_height?",
       greatest(0, extract(epoch from clock_timestamp())::bigint - coalesce(t.block_time, t.burn_block_time)) as "tip_age_seconds?",
       (select greatest(0, extract(epoch from clock_timestamp() - received_at))::bigint
        from inbox order by id desc limit 1) as "silent_seconds?",
       (select count(*) from inbox where state = 0) as "received!",
       (select count(*) from inbox where state = 3) as "detached!",
       (select greatest(0, extract(epoch from clock_timestamp() - min(received_at)))::bigint
        from inbox where state = 3) as "detached_seconds?",
       (select count(*) from inbox where state = 4) as "quarantined!",
       (select count(*) from repair_gap where state = 'given_up') as "given_up!",
       (select count(*) from cursor_proof where verdict = 'differs') as "unproved!",
       (select count(*) from audit_result where verdict = 'differs') as "audited_otherwise!",
       (select count(*) from source_disagreement) as "disagreements!",
       (select count(*) from outbox o, ledger_progress p where o.id > p.outbox_watermark) as "unbooked!",
       (select count(*) from break where state = 'open') as "breaks!",
       (select extract(epoch from clock_timestamp() - max(finished_at))::bigint
        from reconcile_run where state = 'done' and applies) as "reconciled_seconds?",
       (select error from (select state, error from reconcile_run order by id desc limit 1) newest
        where state = 'failed') as "reconcile_error?"
from (select) one
left join lease l on true
left join mirror m on true
left join block t on t.id = m.tip_block_id
