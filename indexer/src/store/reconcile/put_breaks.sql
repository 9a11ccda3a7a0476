insert into break (id, rule, rule_version, subject_kind, subject_key, what, state, resolution, severity, fault, amount,
                   asset, first_seen_s, last_seen_s, opened_s, run_id, body, evidence_hash)
select decode(r.id, 'hex'), r.rule, r.rule_version, r.subject_kind, r.subject_key, r.what, r.state, r.resolution,
       r.severity, r.fault, r.amount, r.asset, r.first_seen_s, r.last_seen_s, r.opened_s, $2, r.body,
       decode(r.evidence_hash, 'hex')
from jsonb_to_recordset($1::jsonb) as r (
    id text, rule text, rule_version integer, subject_kind text, subject_key text, what text, state text,
    resolution text, severity text, fault text, amount numeric(39, 0), asset text, first_seen_s bigint,
    last_seen_s bigint, opened_s bigint, body jsonb, evidence_hash text
)
on conflict (id) do update set
    rule_version = excluded.rule_version, state = excluded.state, resolution = excluded.resolution,
    severity = excluded.severity, fault = excluded.fault, amount = excluded.amount, asset = excluded.asset,
    first_seen_s = excluded.first_seen_s, last_seen_s = excluded.last_seen_s, opened_s = excluded.opened_s,
    run_id = excluded.run_id, body = excluded.body, evidence_hash = excluded.evidence_hash
