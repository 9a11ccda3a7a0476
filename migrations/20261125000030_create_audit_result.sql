-- What a node said of states, balances and blocks of the mirror: the newest comparison of each.
create table audit_result (
    subject_kind      text not null
                      check (subject_kind in ('projects', 'assets', 'badges', 'treasury', 'balances', 'contract', 'block')),
    subject           text not null,
    index_block_hash  bytea not null check (length(index_block_hash) = 32),
    height            integer not null,
    evidence          text not null
                      check (evidence in ('ingested', 'hash_linked', 'cursor_proved', 'replay_audited', 'state_reconciled')),
    verdict           text not null check (verdict in ('agrees', 'differs', 'unavailable')),
    detail            text,
    checked_at        timestamptz not null default clock_timestamp(),
    last_difference   text,
    primary key (subject_kind, subject)
);
comment on table audit_result is 'The newest comparison of each part of the mirror with a node. Not derived from payloads: it is asked of a node, at a block.';
comment on column audit_result.subject_kind is 'projects, assets, badges, treasury: an entity of that projection. balances: an escrow''s balance. contract: a chain of events. block: a block''s transactions and events.';
comment on column audit_result.subject is 'The entity, the contract, or the block''s identity with 0x.';
comment on column audit_result.index_block_hash is 'The block at which mirror and node were compared; it may have left the canonical chain since.';
comment on column audit_result.height is 'Stacks height of that block.';
comment on column audit_result.evidence is 'What an agreement shows. ingested: the block is here. hash_linked: it names the one below. cursor_proved: no event of the contracts is missing. replay_audited: executing the block again gave the same. state_reconciled: the contracts'' own state is the mirror''s.';
comment on column audit_result.verdict is 'agrees; differs; unavailable: the node could not say.';
comment on column audit_result.detail is 'What differs, or why there is no answer, in words.';
comment on column audit_result.checked_at is 'When, by the database''s clock.';
comment on column audit_result.last_difference is 'The last difference ever seen, in words; it stays when later comparisons are equal.';
create index audit_result_agreed on audit_result (height desc) where verdict = 'agrees';
create index audit_result_differs on audit_result (height, evidence) where verdict = 'differs';
create index audit_result_newest on audit_result (checked_at);

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        execute 'grant select on audit_result to stxworx_reader';
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        execute 'grant select, insert, update on audit_result to stxworx_writer';
    end if;
end
$$;
