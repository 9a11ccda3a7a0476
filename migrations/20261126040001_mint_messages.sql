-- What is told of mints to those outside: a second outbox beside that of the blocks, because another process writes it.
--
-- A message is written in the transaction that changes what it tells of, by a trigger that waits for the end of that
-- transaction: then everything of it can be seen, and nothing else is waited for while the lock is held. The lock keeps
-- numbers in the order of commits, so that whoever has read up to a number never misses a lower one.

create table mint_message (
    seq        bigint generated always as identity constraint mint_message_pkey primary key,
    tag        text not null default substr(gen_random_uuid()::text, 1, 8) constraint message_tag check (tag ~ '^[0-9a-f]{8}$'),
    kind       text not null constraint message_kind check (kind in ('needs_approval', 'queued', 'submitting', 'included',
                   'minted', 'failed', 'needs_review', 'held', 'satisfied_elsewhere', 'cancelled', 'dead', 'retracted',
                   'paused', 'resumed')),
    intent_id  bigint constraint message_intent references mint_intent (id),
    contract   text,
    recipient  text,
    body       jsonb not null,
    at         timestamptz not null default clock_timestamp(),
    constraint message_subject check ((intent_id is null) = (kind in ('paused', 'resumed')))
);
comment on table mint_message is 'What is told of mints by the stream and by webhooks, in the order of commits. Written by triggers alone.';
comment on column mint_message.seq is 'Its place. Numbers rise; some are skipped.';
comment on column mint_message.tag is 'By chance: a place of a database that lost its newest commits, or of another one, is not taken for one of this.';
comment on column mint_message.intent_id is 'The mint; null for a pause.';
comment on column mint_message.contract is 'The badges'' contract; null where the message is about all, or it is not known.';
comment on column mint_message.recipient is 'Who earned the badge; null for a pause.';
comment on column mint_message.body is 'What is told.';
create index mint_message_intent on mint_message (intent_id);

create function message_by_trigger_only() returns trigger language plpgsql as $$
begin
    if pg_trigger_depth() < 2 then
        raise exception 'mint_message is written by triggers alone: % is refused', lower(tg_op);
    end if;
    return null;
end
$$;

-- Numbers are given in the order of commits, because the lock is held until the end of the transaction.
create function message_lock() returns void language sql as $$
    select pg_advisory_xact_lock(hashtext('mint_message'), hashtext(current_schema()))
$$;
comment on function message_lock is 'One transaction at a time writes messages about mints.';

create function mint_message_of(told text, intent bigint, was text, now_state text, why text) returns void language plpgsql
    security definer set search_path from current as $$
begin
    perform message_lock();
    insert into mint_message (kind, intent_id, contract, recipient, body)
    select told, m.id, m.contract, m.recipient, jsonb_build_object(
               'id', m.id, 'contract', m.contract, 'recipient', m.recipient, 'kind', m.kind::text, 'award_seq', m.award_seq,
               'state', now_state, 'from', was, 'reason', why,
               'txid', '0x' || encode(coalesce(m.minted_txid, m.by_txid), 'hex'),
               'index_block_hash', '0x' || encode(m.by_block, 'hex'), 'height', m.by_height, 'badge', m.badge_id::text)
    from mint m where m.id = intent;
end
$$;
revoke execute on function mint_message_of from public;
comment on function mint_message_of is 'Writes what is told of a mint, as it stands at the end of the transaction.';

create function event_is_told() returns trigger language plpgsql security definer set search_path from current as $$
begin
    perform mint_message_of(
        case new.to_state when 'eligible' then 'needs_approval' when 'final_ok' then 'minted' when 'final_failed' then 'failed'
            when 'review' then 'needs_review' else new.to_state end,
        new.intent_id, new.from_state, new.to_state, new.reason);
    return null;
end
$$;

-- Of an effect its intent's event tells; that one was taken back, nothing else does.
create function retraction_is_told() returns trigger language plpgsql security definer set search_path from current as $$
begin
    perform mint_message_of('retracted', new.intent_id, i.state, i.state, 'left_final') from mint_intent i where i.id = new.intent_id;
    return null;
end
$$;

create function pause_is_told() returns trigger language plpgsql security definer set search_path from current as $$
begin
    perform message_lock();
    insert into mint_message (kind, contract, body)
    values (case tg_op when 'INSERT' then 'paused' else 'resumed' end,
            case new.scope when 'contract' then new.subject
                when 'lane' then (select contract from mint_lane where sender = new.subject) end,
            jsonb_build_object('scope', new.scope, 'subject', new.subject, 'reason', new.reason));
    return null;
end
$$;

create trigger message_by_trigger_only before insert on mint_message
    for each statement execute function message_by_trigger_only();
create trigger message_stays before update or delete or truncate on mint_message
    for each statement execute function refuse_change();
create trigger message_wakes after insert on mint_message for each statement execute function tell_of_outbox();
create constraint trigger event_is_told after insert on mint_event
    deferrable initially deferred for each row execute function event_is_told();
create constraint trigger retraction_is_told after insert on mint_line
    deferrable initially deferred for each row when (new.kind = 'retracted') execute function retraction_is_told();
create constraint trigger pause_is_told after insert or update on mint_pause
    deferrable initially deferred for each row execute function pause_is_told();

-- A session that plays a replica would pass by ordinary triggers.
do $$
declare
    guard record;
begin
    for guard in
        select tgrelid::regclass as relation, tgname from pg_trigger
        where not tgisinternal
          and tgname in ('message_by_trigger_only', 'message_stays', 'message_wakes', 'event_is_told', 'retraction_is_told', 'pause_is_told')
          and tgrelid in ('mint_message'::regclass, 'mint_event'::regclass, 'mint_line'::regclass, 'mint_pause'::regclass)
    loop
        execute format('alter table %s enable always trigger %I', guard.relation, guard.tgname);
    end loop;
end
$$;

-- Webhooks tell messages as well.
alter table webhook_delivery drop constraint webhook_delivery_kind_check;
alter table webhook_delivery add constraint webhook_delivery_kind_check check (kind in ('frame', 'reset', 'test', 'mint'));
comment on column webhook_delivery.line is 'outbox.id; mint_message.seq for a message about a mint, 0 for a reset, -1 for a test.';
comment on column webhook_delivery.part is 'Part of the line, from 1; 0 for a message about a mint; for resets and tests their number.';
comment on column webhook_delivery.kind is 'frame: a line of the outbox. mint: a message about a mint. reset: what was told before does not hold any more. test: asked for by an operator.';

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select on mint_message to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant select on mint_message to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
