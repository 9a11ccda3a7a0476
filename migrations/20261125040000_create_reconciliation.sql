-- Reconciliation: runs, what they found, the history of that, and what the platform said at each run.
create table reconcile_run (
    id                  bigint generated always as identity primary key,
    kind                text not null check (kind in ('sweep', 'incremental', 'rerun')),
    of_run              bigint references reconcile_run (id),
    applies             boolean not null,
    started_at          timestamptz not null default clock_timestamp(),
    finished_at         timestamptz,
    state               text not null default 'running' check (state in ('running', 'done', 'failed')),
    error               text,
    contract            text,
    anchor              jsonb,
    basis               jsonb,
    columns             jsonb,
    schema_fingerprint  bytea check (octet_length(schema_fingerprint) = 32),
    subjects            jsonb,
    considered          bigint not null default 0,
    matched             bigint not null default 0,
    tolerated           bigint not null default 0,
    broken              bigint not null default 0,
    skipped             bigint not null default 0,
    skips               jsonb not null default '{}',
    coverage            jsonb not null default '{}',
    changes             jsonb not null default '{}',
    notes               jsonb not null default '[]',
    canary              text not null default 'none' check (canary in ('none', 'found', 'missed')),
    verdict_digest      bytea check (octet_length(verdict_digest) = 32),
    outbox_id           bigint,
    platform_mark       text,
    check (considered = matched + tolerated + broken + skipped),
    check ((state = 'running') = (finished_at is null)),
    check (state <> 'failed' or error is not null),
    check (state <> 'done' or (anchor is not null and verdict_digest is not null)),
    check ((kind = 'rerun') = (of_run is not null))
);
comment on table reconcile_run is 'Every comparison of the platform with the mirror, those that found nothing and those that failed, too.';
comment on column reconcile_run.kind is 'sweep: everything. incremental: what changed since the last one that applied. rerun: an earlier one again, from what is stored.';
comment on column reconcile_run.of_run is 'The run that a rerun repeats.';
comment on column reconcile_run.applies is 'Did it move breaks? A look at a past block and a rerun only judge.';
comment on column reconcile_run.state is 'running (or killed: then the next run says so), done, failed. What a failed run found was never stored.';
comment on column reconcile_run.contract is 'The contract that the platform''s numbers belong to.';
comment on column reconcile_run.anchor is 'The moment: block, height, burn_height, final_height, and platform_time_s (Unix seconds, the platform database''s clock).';
comment on column reconcile_run.basis is 'What verdicts depend on besides both sides: names of assets, rules with versions, rules that could not read the platform.';
comment on column reconcile_run.columns is 'Columns of the platform''s queries, with their types.';
comment on column reconcile_run.schema_fingerprint is 'SHA-256 over these columns.';
comment on column reconcile_run.subjects is 'What an incremental run looked at; null for everything.';
comment on column reconcile_run.considered is 'Pairs of a rule and a subject; each is matched, tolerated, broken or skipped.';
comment on column reconcile_run.tolerated is 'Differences that may pass by themselves, or that somebody accepted. A rerun, which knows no history, counts them as broken.';
comment on column reconcile_run.skips is 'Skipped pairs by reason.';
comment on column reconcile_run.coverage is 'By asset: base units locked in what was looked at, and those of them that every rule could compare.';
comment on column reconcile_run.changes is 'Breaks by what happened to them.';
comment on column reconcile_run.notes is 'What the control itself could not do: rules that cannot read the platform, too many breaks at once, a canary that was missed.';
comment on column reconcile_run.canary is 'Was a difference found that the run itself put into a copy of a real case?';
comment on column reconcile_run.verdict_digest is 'SHA-256 over every verdict, in order. The same moment gives the same.';
comment on column reconcile_run.outbox_id is 'Last line of the outbox that it saw; the next incremental run begins behind it.';
comment on column reconcile_run.platform_mark is 'Greatest updated_at that the platform''s rows had.';
create index reconcile_run_good on reconcile_run (id desc) where state = 'done' and applies;

create table break (
    id             bytea primary key check (octet_length(id) = 32),
    rule           text not null,
    rule_version   integer not null,
    subject_kind   text not null,
    subject_key    text not null,
    what           text not null,
    state          text not null check (state in ('suspected', 'open', 'acknowledged', 'resolved')),
    resolution     text check (resolution in ('auto_healed', 'fixed_onchain', 'fixed_offchain', 'accepted', 'false_positive')),
    severity       text not null check (severity in ('low', 'medium', 'high', 'critical')),
    fault          text not null check (fault in ('node', 'mirror', 'platform')),
    amount         numeric(39, 0) check (amount >= 0),
    asset          text,
    first_seen_s   bigint not null,
    last_seen_s    bigint not null,
    opened_s       bigint,
    run_id         bigint references reconcile_run (id),
    body           jsonb not null,
    evidence_hash  bytea not null check (octet_length(evidence_hash) = 32),
    check ((state = 'resolved') = (resolution is not null)),
    check ((amount is null) = (asset is null))
);
comment on table break is 'Differences between the chain and the platform, from a first suspicion until they are over. Suspicions that pass are removed; their history stays.';
comment on column break.id is 'SHA-256 over rule, subject, what differs and period: the same when it comes back.';
comment on column break.amount is 'Money at risk, base units of the asset.';
comment on column break.first_seen_s is 'First seen in its present life, Unix seconds by the platform database''s clock.';
comment on column break.last_seen_s is 'Last seen, likewise.';
comment on column break.opened_s is 'Opened in its present life, likewise.';
comment on column break.run_id is 'The run that changed it last; null when a person did.';
comment on column break.body is 'The whole of it: finding with both sides'' facts, moments, counts.';
comment on column break.evidence_hash is 'SHA-256 of the canonical form of the body.';
create index break_subject on break (subject_kind, subject_key);
create index break_live on break (rule, severity) where state <> 'resolved';
create index break_accepted on break (id) where resolution = 'accepted';

create table break_event (
    seq       bigint primary key check (seq > 0),
    break_id  bytea not null check (octet_length(break_id) = 32),
    run_id    bigint references reconcile_run (id),
    at_us     bigint not null,
    who       text not null,
    change    text not null,
    evidence  text not null,
    prev      bytea not null check (octet_length(prev) = 32),
    hash      bytea not null unique check (octet_length(hash) = 32)
);
comment on table break_event is 'The history of all breaks, one chain of hashes over all of them. Nothing is ever changed or removed.';
comment on column break_event.seq is 'From 1, without a hole.';
comment on column break_event.at_us is 'Unix microseconds, by this database''s clock.';
comment on column break_event.who is 'A person, or reconciler.';
comment on column break_event.evidence is 'Canonical JSON: the break as it was then, and what a person said.';
comment on column break_event.prev is 'Hash of the event before; 32 zero bytes for the first.';
comment on column break_event.hash is 'SHA-256 over prev and every other column, each with its length.';
create index break_event_break on break_event (break_id, seq);

create table platform_row (
    id        bigint generated always as identity primary key,
    entity    text not null,
    place     numeric(20, 0) not null,
    key       text collate "C" not null,
    copy      integer not null,
    hash      bytea not null check (octet_length(hash) = 32),
    cells     jsonb not null,
    from_run  bigint not null references reconcile_run (id),
    to_run    bigint references reconcile_run (id),
    check (to_run > from_run)
);
comment on table platform_row is 'Every row of the platform as runs saw it: what was said when, and by its hash, what changed.';
comment on column platform_row.place is 'Its number at the contract; 99999999999999999999 where it has none that can be read.';
comment on column platform_row.key is 'The platform''s own key; empty where it has none.';
comment on column platform_row.copy is 'From 0, among rows of one place and key.';
comment on column platform_row.hash is 'SHA-256 over all cells.';
comment on column platform_row.cells is 'Column to text, or null.';
comment on column platform_row.from_run is 'The run that saw it first.';
comment on column platform_row.to_run is 'The run that did not see it any more; null while it stands.';
create unique index platform_row_live on platform_row (entity, place, key, copy) where to_run is null;
create index platform_row_key on platform_row (entity, key) where to_run is null;
create index platform_row_at on platform_row (entity, place, key, copy, from_run);

create trigger break_event_stays before update or delete or truncate on break_event
    for each statement execute function refuse_change();
create trigger platform_row_stays before delete or truncate on platform_row
    for each statement execute function refuse_change();
create trigger platform_row_keeps before update of entity, place, key, copy, hash, cells, from_run on platform_row
    for each statement execute function refuse_change();
create trigger reconcile_run_stays before delete or truncate on reconcile_run
    for each statement execute function refuse_change();

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select on reconcile_run, break, break_event, platform_row to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant select, insert, update on reconcile_run to stxworx_writer;
        grant select, insert, update, delete on break to stxworx_writer;
        grant select, insert on break_event to stxworx_writer;
        grant select, insert on platform_row to stxworx_writer;
        grant update (to_run) on platform_row to stxworx_writer;
        grant usage on sequence reconcile_run_id_seq, platform_row_id_seq to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
