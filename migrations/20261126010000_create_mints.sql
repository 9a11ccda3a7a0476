-- Badges that this service mints: what is owed, the nonces and the signed transactions by which it is paid, and what
-- became of each. An award is paid once, whatever crashes, forks and twins there are.
--
-- award -> intent -> nonce slot -> attempt -> effect. A slot carries one mint for ever, or nothing but a noop; signed
-- bytes are stored before they are sent and never change; a slot dies only by what consumed its nonce for good. The
-- rules are held here, not by the program: the role that mints does not own these tables.

create table mint_award (
    id             bigint generated always as identity constraint mint_award_pkey primary key,
    contract       text not null constraint award_contract check (contract ~ '^S[0-9A-Z]{2,40}\.[a-zA-Z][a-zA-Z0-9_-]{0,127}$'),
    recipient      text not null constraint award_recipient check (recipient ~ '^S[0-9A-Z]{2,40}(\.[a-zA-Z][a-zA-Z0-9_-]{0,127})?$'),
    kind           numeric(20, 0) not null constraint award_kind check (kind >= 0 and kind <= 18446744073709551615),
    award_seq      integer not null constraint award_seq check (award_seq > 0),
    evidence       text not null,
    evidence_hash  bytea not null constraint award_evidence check (evidence_hash = sha256(convert_to(evidence, 'UTF8'))),
    made_at        timestamptz not null default clock_timestamp(),
    constraint award_once unique (contract, recipient, kind, award_seq)
);
comment on table mint_award is 'Who earned which badge, once each, with the final facts that say so.';
comment on column mint_award.contract is 'The badges'' contract.';
comment on column mint_award.kind is 'Number of the kind at that contract.';
comment on column mint_award.award_seq is 'From 1. A next one follows only a revocation that does not bar.';
comment on column mint_award.evidence is 'The final facts it rests on, as canonical JSON.';
comment on column mint_award.evidence_hash is 'SHA-256 of it.';

create table mint_intent (
    id          bigint generated always as identity constraint mint_intent_pkey primary key,
    award_id    bigint not null constraint intent_award references mint_award (id),
    state       text not null constraint intent_state check (state in ('eligible', 'queued', 'submitting', 'included',
                    'final_ok', 'final_failed', 'review', 'held', 'satisfied_elsewhere', 'cancelled', 'dead')),
    reason      text constraint intent_reason_text check (reason ~ '^[a-z0-9_]{1,64}$'),
    note        text not null default '',
    cancel_by   text constraint intent_cancel_by check (cancel_by <> ''),
    failures    integer not null default 0 constraint intent_failures check (failures >= 0),
    retractions integer not null default 0 constraint intent_retractions check (retractions >= 0),
    made_at     timestamptz not null default clock_timestamp(),
    changed_at  timestamptz not null default clock_timestamp(),
    constraint intent_of_award unique (award_id)
);
comment on table mint_intent is 'The will to pay an award, and how far it is: one for each award.';
comment on column mint_intent.state is 'final_ok, satisfied_elsewhere, cancelled and dead are over; eligible and review wait for a person, held for something outside.';
comment on column mint_intent.reason is 'Why it stands there, in a word.';
comment on column mint_intent.note is 'The same for people.';
comment on column mint_intent.cancel_by is 'Who asked for it to be given up; it is, unless the mint is mined all the same.';
comment on column mint_intent.failures is 'Slots of it that ended in a failure on the chain.';
comment on column mint_intent.retractions is 'How often what was final was taken back.';
create index mint_intent_open on mint_intent (state, id) where state not in ('final_ok', 'satisfied_elsewhere', 'cancelled', 'dead');

create table mint_lane (
    sender             text constraint mint_lane_pkey primary key constraint lane_sender check (sender ~ '^S[0-9A-Z]{2,40}$'),
    contract           text not null,
    base_nonce         bigint constraint lane_base check (base_nonce >= 0),
    next_nonce         bigint not null default 0,
    epoch              bigint not null default 1,
    holder             text not null,
    expires_at         timestamptz not null,
    final_after        integer not null constraint lane_final check (final_after > 0),
    opened_height      integer,
    unexplained_since  timestamptz,
    node_nonce         numeric(20, 0),
    balance            numeric(39, 0),
    observed_at        timestamptz,
    constraint lane_next check (case when base_nonce is null then next_nonce = 0 else next_nonce >= base_nonce end)
);
comment on table mint_lane is 'A key that mints at a contract, its nonces, and who holds it: reserving and signing name the epoch of the lease.';
comment on column mint_lane.sender is 'Address of the key.';
comment on column mint_lane.contract is 'The badges'' contract that it mints at.';
comment on column mint_lane.base_nonce is 'First nonce that is accounted for here: every one from it on has a slot. Null until it is known; it may fall, with slots for noops.';
comment on column mint_lane.next_nonce is 'The next one to reserve. Never falls.';
comment on column mint_lane.epoch is 'Rises with each taking of the lease. Never falls.';
comment on column mint_lane.holder is 'HOST:PROCESS-ID:NUMBER of the one that took it last.';
comment on column mint_lane.expires_at is 'From then on another process may take it, by the database''s clock.';
comment on column mint_lane.final_after is 'Bitcoin blocks after which a block counts as final.';
comment on column mint_lane.opened_height is 'Stacks height that was final when the first nonce was noted.';
comment on column mint_lane.unexplained_since is 'Since when the chain shows nonces of the key that no slot explains.';
comment on column mint_lane.node_nonce is 'The account''s nonce, as a node said last. A hint.';
comment on column mint_lane.balance is 'Micro-STX of the account, as a node said last. A hint.';

create table nonce_slot (
    sender            text not null constraint slot_lane references mint_lane (sender),
    nonce             bigint not null,
    intent_id         bigint constraint slot_intent references mint_intent (id),
    state             text not null default 'reserved' constraint slot_state check (state in ('reserved', 'live', 'consumed', 'dead')),
    epoch             bigint not null,
    reserved_at       timestamptz not null default clock_timestamp(),
    by_txid           bytea constraint slot_by_txid check (octet_length(by_txid) = 32),
    by_block          bytea constraint slot_by_block check (octet_length(by_block) = 32),
    by_height         integer,
    by_burn_height    integer,
    by_verdict        jsonb,
    seen_burn_height  integer,
    died_of           text constraint slot_died_of check (died_of in ('foreign', 'accepted')),
    minted            boolean not null default false,
    left_final        boolean not null default false,
    accepted_by       text,
    constraint nonce_slot_pkey primary key (sender, nonce),
    constraint slot_payload unique (sender, nonce, intent_id),
    constraint slot_evidence check (case state when 'reserved' then by_txid is null when 'consumed' then by_txid is not null
        when 'dead' then (by_txid is null) = (died_of = 'accepted') else true end),
    constraint slot_evidence_whole check (num_nulls(by_txid, by_block, by_height, by_burn_height) in (0, 4)),
    constraint slot_final check ((state in ('consumed', 'dead') and died_of is distinct from 'accepted') = (seen_burn_height is not null)),
    constraint slot_death check ((state = 'dead') = (died_of is not null)),
    constraint slot_minted check (not minted or (state = 'consumed' and intent_id is not null)),
    constraint slot_left check (not left_final or state = 'consumed')
);
comment on table nonce_slot is 'A nonce that was taken, and the one mint that it carries for ever; without one it is for a noop.';
comment on column nonce_slot.state is 'reserved: nothing is signed. live: bytes are signed. consumed: a transaction of ours has the nonce for good. dead: another''s has.';
comment on column nonce_slot.epoch is 'Of the lease under which it was reserved.';
comment on column nonce_slot.by_txid is 'The canonical transaction with this nonce, as it was seen last.';
comment on column nonce_slot.by_block is 'Index block hash of its block.';
comment on column nonce_slot.by_height is 'Stacks height of that block.';
comment on column nonce_slot.by_burn_height is 'Bitcoin height of that block.';
comment on column nonce_slot.by_verdict is 'How it ended.';
comment on column nonce_slot.seen_burn_height is 'Newest Bitcoin height when the slot ended: deep enough above its block''s, nothing comes back.';
comment on column nonce_slot.died_of is 'foreign: a transaction that is not ours. accepted: an operator accepted that it is gone, and not why.';
comment on column nonce_slot.minted is 'Consumed by a mint that succeeded: its intent gets no other slot.';
comment on column nonce_slot.accepted_by is 'Who accepted that the nonce is gone, without a transaction that shows it.';
comment on column nonce_slot.left_final is 'The chain left the block that had been final; a person decides what then.';
create unique index one_live_slot_per_intent on nonce_slot (intent_id) where state in ('reserved', 'live') or minted;
create index nonce_slot_intent on nonce_slot (intent_id);
create index nonce_slot_open on nonce_slot (sender, nonce) where state in ('reserved', 'live');

create table tx_attempt (
    txid           bytea constraint tx_attempt_pkey primary key constraint attempt_txid check (octet_length(txid) = 32),
    sender         text not null,
    nonce          bigint not null,
    kind           text not null constraint attempt_kind check (kind in ('mint', 'noop')),
    intent_id      bigint,
    fee            numeric(20, 0) not null constraint attempt_fee check (fee >= 0 and fee <= 18446744073709551615),
    fee_cap        numeric(20, 0) not null,
    raw_tx         bytea not null,
    adopted        boolean not null default false,
    epoch          bigint not null,
    signed_at      timestamptz not null default clock_timestamp(),
    signed_height  integer not null,
    constraint attempt_raw check (adopted or octet_length(raw_tx) > 0),
    constraint attempt_cap check (adopted or fee <= fee_cap),
    constraint attempt_payload check (kind = 'noop' or intent_id is not null),
    constraint attempt_noop check (kind = 'mint' or intent_id is null),
    constraint attempt_slot foreign key (sender, nonce) references nonce_slot (sender, nonce),
    constraint attempt_of_slot foreign key (sender, nonce, intent_id) references nonce_slot (sender, nonce, intent_id)
);
comment on table tx_attempt is 'A signed transaction, stored before it is sent first, and never changed.';
comment on column tx_attempt.fee is 'Micro-STX.';
comment on column tx_attempt.fee_cap is 'Micro-STX that one was allowed to offer then.';
comment on column tx_attempt.raw_tx is 'The bytes, signed. They are sent again as they are.';
comment on column tx_attempt.adopted is 'Found on the chain and known by what it does, not made by this database''s history.';
comment on column tx_attempt.signed_height is 'Stacks height of the mirror''s tip then.';
create index tx_attempt_slot on tx_attempt (sender, nonce);
create index tx_attempt_signed on tx_attempt (sender, signed_at);

create table tx_send (
    id         bigint generated always as identity constraint tx_send_pkey primary key,
    txid       bytea not null constraint send_attempt references tx_attempt (txid),
    node       integer not null constraint send_node check (node >= 0),
    answer     text not null constraint send_answer check (answer ~ '^[a-z0-9_]{1,64}$'),
    said       jsonb not null,
    ambiguous  boolean not null,
    at         timestamptz not null default clock_timestamp()
);
comment on table tx_send is 'Which node was given which transaction, and what it answered.';
comment on column tx_send.node is 'Its number in the configuration, from 0.';
comment on column tx_send.answer is 'The answer, in a word.';
comment on column tx_send.said is 'The answer with its values.';
comment on column tx_send.ambiguous is 'Nobody knows whether the node has it.';
create index tx_send_txid on tx_send (txid, id);

create table mint_effect (
    id             bigint generated always as identity constraint mint_effect_pkey primary key,
    intent_id      bigint not null constraint effect_intent references mint_intent (id),
    kind           text not null constraint effect_kind check (kind in ('minted', 'satisfied_elsewhere')),
    txid           bytea constraint effect_txid check (octet_length(txid) = 32),
    badge_id       numeric(20, 0),
    at             timestamptz not null default clock_timestamp(),
    taken_back_at  timestamptz
);
comment on table mint_effect is 'What an intent came to, for good: one that stands, for each.';
comment on column mint_effect.txid is 'The transaction that minted the badge, where it is known.';
comment on column mint_effect.badge_id is 'Number of the token, where it is known.';
comment on column mint_effect.taken_back_at is 'When the chain left what had been final.';
create unique index one_effect_per_intent on mint_effect (intent_id) where taken_back_at is null;

create table mint_line (
    seq        bigint generated always as identity constraint mint_line_pkey primary key,
    id         text not null constraint line_once unique constraint line_id check (id ~ '^[!-~]{1,128}$'),
    kind       text not null constraint line_kind check (kind in ('minted', 'satisfied_elsewhere', 'retracted')),
    intent_id  bigint not null constraint line_intent references mint_intent (id),
    sender     text not null constraint line_lane references mint_lane (sender),
    body       jsonb not null,
    at         timestamptz not null default clock_timestamp(),
    told_at    timestamptz
);
comment on table mint_line is 'What is told outside of effects and of what became of them, in order.';
comment on column mint_line.id is 'Whoever hears a line twice knows by this.';
comment on column mint_line.told_at is 'When it was heard; null until then.';
create index mint_line_untold on mint_line (sender, seq) where told_at is null;
create index mint_line_intent on mint_line (intent_id);

create table mint_pause (
    id         bigint generated always as identity constraint mint_pause_pkey primary key,
    scope      text not null constraint pause_scope check (scope in ('global', 'contract', 'lane')),
    subject    text not null default '',
    reason     text not null constraint pause_reason check (reason ~ '^[a-z0-9_]{1,64}$'),
    note       text not null default '',
    author     text not null constraint pause_author check (author <> ''),
    at         timestamptz not null default clock_timestamp(),
    lifted_at  timestamptz,
    lifted_by  text constraint pause_lifter check (lifted_by <> ''),
    constraint pause_subject check ((scope = 'global') = (subject = '')),
    constraint pause_lifted check ((lifted_at is null) = (lifted_by is null))
);
comment on table mint_pause is 'When nothing was reserved or signed, why, and by whose will. What is signed already may be sent again.';
comment on column mint_pause.subject is 'The contract, or the address of the lane''s key; empty for everything.';
comment on column mint_pause.reason is 'In a word; manual where a person said so.';
comment on column mint_pause.note is 'The same for people.';
comment on column mint_pause.author is 'A person, or minter.';
create unique index one_pause_per_reason on mint_pause (scope, subject, reason) where lifted_at is null;

create table mint_approval (
    intent_id  bigint constraint mint_approval_pkey primary key constraint approval_intent references mint_intent (id),
    author     text not null constraint approval_author check (author <> ''),
    at         timestamptz not null default clock_timestamp()
);
comment on table mint_approval is 'Who approved a mint of a kind that is new.';

create table mint_event (
    id          bigint generated always as identity constraint mint_event_pkey primary key,
    intent_id   bigint not null constraint event_intent references mint_intent (id),
    at          timestamptz not null default clock_timestamp(),
    who         text not null constraint event_who check (who <> ''),
    from_state  text,
    to_state    text not null,
    reason      text,
    note        text not null
);
comment on table mint_event is 'What happened to an intent, in order. Written by the intent''s own trigger.';
comment on column mint_event.who is 'A person, or minter.';
create index mint_event_intent on mint_event (intent_id, id);

-- Guards ----------------------------------------------------------------------------------------------
create function award_follows() returns trigger language plpgsql as $$
begin
    if new.award_seq > 1 and not exists (
        select from mint_award a join mint_intent i on i.award_id = a.id
        where (a.contract, a.recipient, a.kind, a.award_seq) = (new.contract, new.recipient, new.kind, new.award_seq - 1)
          and i.state in ('final_ok', 'satisfied_elsewhere'))
    then
        raise exception 'award % of % does not follow one that was paid', new.award_seq, new.recipient;
    end if;
    return new;
end
$$;

create function intent_moves() returns trigger language plpgsql as $$
begin
    if (new.id, new.award_id, new.made_at) is distinct from (old.id, old.award_id, old.made_at) then
        raise exception 'intent %: what it pays is fixed', old.id;
    end if;
    if old.state = 'final_ok' and new.state <> 'final_ok'
        and exists (select from mint_effect where intent_id = new.id and taken_back_at is null) then
        raise exception 'intent % was paid', old.id;
    end if;
    if new.state = 'eligible' and old.state <> 'eligible' then
        raise exception 'intent % does not begin again', old.id;
    end if;
    if new.state <> old.state then
        new.changed_at := clock_timestamp();
    end if;
    return new;
end
$$;

-- What an intent says of itself must be so when the transaction ends.
create function intent_is_sound() returns trigger language plpgsql as $$
declare
    now_state text;
begin
    select state into now_state from mint_intent where id = new.id;
    if now_state = 'final_ok'
        and not exists (select from mint_effect where intent_id = new.id and taken_back_at is null) then
        raise exception 'intent % has no effect, and is not final', new.id;
    end if;
    if now_state in ('submitting', 'included')
        and not exists (select from nonce_slot where intent_id = new.id and state in ('reserved', 'live')) then
        raise exception 'intent % has no slot, and is not %', new.id, now_state;
    end if;
    if now_state = 'cancelled' and exists (
        select from nonce_slot s join tx_attempt a on a.sender = s.sender and a.nonce = s.nonce
        where s.intent_id = new.id and a.kind = 'mint' and (s.state = 'live' or s.minted))
    then
        raise exception 'intent % may still be minted, and is not cancelled', new.id;
    end if;
    return null;
end
$$;

create function intent_tells() returns trigger language plpgsql security definer set search_path from current as $$
declare
    was text := case when tg_op = 'UPDATE' then old.state end;
begin
    if tg_op = 'INSERT' or (old.state, old.reason, old.cancel_by) is distinct from (new.state, new.reason, new.cancel_by) then
        insert into mint_event (intent_id, who, from_state, to_state, reason, note)
        values (new.id, coalesce(nullif(current_setting('stxworx.who', true), ''), 'minter'), was, new.state, new.reason,
                new.note);
    end if;
    return null;
end
$$;

-- A statement of a client stands at depth 1 in its trigger, one of the intent's own trigger deeper.
create function event_by_intent_only() returns trigger language plpgsql as $$
begin
    if pg_trigger_depth() < 2 then
        raise exception 'mint_event is written by intents alone: % is refused', lower(tg_op);
    end if;
    return null;
end
$$;

create function intent_is_born_unpaid() returns trigger language plpgsql as $$
begin
    if new.state in ('final_ok', 'included', 'submitting') then
        raise exception 'an intent is not born %', new.state;
    end if;
    return new;
end
$$;

create function lane_moves() returns trigger language plpgsql as $$
begin
    if (new.sender, new.contract) is distinct from (old.sender, old.contract)
        or (old.base_nonce is not null and (new.base_nonce is null or new.base_nonce > old.base_nonce)) then
        raise exception 'lane %: where it began is fixed', old.sender;
    end if;
    if new.epoch < old.epoch or (new.next_nonce < old.next_nonce and exists (
        select from nonce_slot where sender = old.sender)) then
        raise exception 'lane %: next nonce and epoch never fall', old.sender;
    end if;
    return new;
end
$$;

-- A nonce that was counted on without a slot would stop every later one.
create function lane_is_whole() returns trigger language plpgsql as $$
declare
    lane mint_lane;
begin
    select * into lane from mint_lane where sender = new.sender;
    if lane.next_nonce > lane.base_nonce
        and (select count(*) from nonce_slot
             where sender = lane.sender and nonce in (lane.base_nonce, lane.next_nonce - 1))
            < least(lane.next_nonce - lane.base_nonce, 2) then
        raise exception 'lane %: nonce % or % has no slot', lane.sender, lane.base_nonce, lane.next_nonce - 1;
    end if;
    return null;
end
$$;

-- A slot is the lane's newest, or lies right below its lowest: a lane that began too high is lowered, from above.
create function slot_begins() returns trigger language plpgsql as $$
declare
    lane mint_lane;
    lowest nonce_slot;
begin
    select * into lane from mint_lane where sender = new.sender for update;
    if lane.base_nonce is null or new.nonce < lane.base_nonce then
        raise exception 'slot % of % was not reserved', new.nonce, new.sender;
    end if;
    if new.state <> 'reserved' and (new.state <> 'dead' or new.intent_id is not null) then
        raise exception 'slot % of % is not born %', new.nonce, new.sender, new.state;
    end if;
    select * into lowest from nonce_slot where sender = new.sender order by nonce limit 1;
    if new.nonce = lowest.nonce - 1 then
        if new.state <> 'reserved' or new.intent_id is not null or new.epoch > lowest.epoch then
            raise exception 'slot % of %: below the lowest there are noops alone', new.nonce, new.sender;
        end if;
        return new;
    end if;
    if new.epoch is distinct from lane.epoch then
        raise exception 'slot % of %: epoch % is not the lease''s, %', new.nonce, new.sender, new.epoch, lane.epoch;
    end if;
    if new.nonce <> lane.next_nonce - 1 then
        raise exception 'slot % of % was not reserved', new.nonce, new.sender;
    end if;
    if new.nonce > lane.base_nonce
        and not exists (select from nonce_slot where sender = new.sender and nonce = new.nonce - 1) then
        raise exception 'slot % of % leaves a hole', new.nonce, new.sender;
    end if;
    if new.state = 'reserved'
        and (select count(*) from nonce_slot where sender = new.sender and state in ('reserved', 'live')) >= 20 then
        raise exception 'slot % of %: twenty are in flight, and nodes chain no more than 25', new.nonce, new.sender;
    end if;
    return new;
end
$$;

create function slot_moves() returns trigger language plpgsql as $$
begin
    if (new.sender, new.nonce, new.epoch, new.reserved_at)
        is distinct from (old.sender, old.nonce, old.epoch, old.reserved_at) then
        raise exception 'slot % of %: what it is is fixed', old.nonce, old.sender;
    end if;
    if new.intent_id is distinct from old.intent_id
        and (new.intent_id is not null or old.state <> 'reserved' or new.state <> 'reserved') then
        raise exception 'slot % of %: what it carries is fixed', old.nonce, old.sender;
    end if;
    if old.state = 'dead' then
        raise exception 'slot % of % is dead', old.nonce, old.sender;
    end if;
    if new.state = 'reserved' and old.state <> 'reserved' then
        raise exception 'slot % of %: something is signed', old.nonce, old.sender;
    end if;
    if old.state = 'consumed' and new.state <> 'consumed'
        and exists (select from mint_effect where intent_id = old.intent_id and txid = old.by_txid and taken_back_at is null) then
        raise exception 'slot % of % paid its award', old.nonce, old.sender;
    end if;
    return new;
end
$$;

create function slot_evidence_holds() returns trigger language plpgsql as $$
declare
    ours text;
    deep integer;
begin
    if new.by_txid is null then
        return new;
    end if;
    select kind into ours from tx_attempt where txid = new.by_txid and sender = new.sender and nonce = new.nonce;
    if (new.state = 'dead') <> (ours is null) then
        raise exception 'slot % of %: % takes another transaction', new.nonce, new.sender, new.state;
    end if;
    if new.state = 'consumed' and new.minted is distinct from
        (ours = 'mint' and coalesce(new.by_verdict ->> 'verdict', '') = 'success') then
        raise exception 'slot % of %: minted it did not, or did', new.nonce, new.sender;
    end if;
    if new.state in ('consumed', 'dead') then
        select final_after into deep from mint_lane where sender = new.sender;
        if new.seen_burn_height - new.by_burn_height < deep then
            raise exception 'slot % of %: what consumed it is not final', new.nonce, new.sender;
        end if;
    end if;
    return new;
end
$$;

create function attempt_fits() returns trigger language plpgsql as $$
declare
    slot nonce_slot;
begin
    select * into slot from nonce_slot where sender = new.sender and nonce = new.nonce for update;
    if new.epoch is distinct from (select epoch from mint_lane where sender = new.sender) then
        raise exception 'attempt at % of %: the lease is another''s', new.nonce, new.sender;
    end if;
    if slot.state in ('consumed', 'dead') then
        raise exception 'attempt at % of %: the slot is over', new.nonce, new.sender;
    end if;
    if not new.adopted and exists (
        select from tx_attempt where sender = new.sender and nonce = new.nonce and fee >= new.fee) then
        raise exception 'attempt at % of %: the fee does not rise', new.nonce, new.sender;
    end if;
    if new.kind = 'mint' and not new.adopted and exists (
        select from tx_attempt where sender = new.sender and nonce = new.nonce and kind = 'noop') then
        raise exception 'attempt at % of %: no mint follows a noop', new.nonce, new.sender;
    end if;
    return new;
end
$$;

-- A slot with signed bytes is live, so that nobody takes it for one of which nothing can be on the air.
create function attempt_has_live_slot() returns trigger language plpgsql as $$
begin
    if exists (select from nonce_slot where sender = new.sender and nonce = new.nonce and state = 'reserved') then
        raise exception 'slot % of % has an attempt, and is not live', new.nonce, new.sender;
    end if;
    return null;
end
$$;

create function effect_fits() returns trigger language plpgsql as $$
begin
    if new.kind = 'minted' and not exists (
        select from nonce_slot where intent_id = new.intent_id and minted and by_txid = new.txid) then
        raise exception 'intent %: no slot of it was consumed by that mint', new.intent_id;
    end if;
    return new;
end
$$;

create function effect_is_taken_back_once() returns trigger language plpgsql as $$
begin
    if old.taken_back_at is not null
        or (new.id, new.intent_id, new.kind, new.txid, new.badge_id, new.at)
            is distinct from (old.id, old.intent_id, old.kind, old.txid, old.badge_id, old.at) then
        raise exception 'effect % can be taken back, once, and nothing else', old.id;
    end if;
    return new;
end
$$;

create function line_is_told_once() returns trigger language plpgsql as $$
begin
    if old.told_at is not null
        or (new.seq, new.id, new.kind, new.intent_id, new.sender, new.body, new.at)
            is distinct from (old.seq, old.id, old.kind, old.intent_id, old.sender, old.body, old.at) then
        raise exception 'line % can be told, once, and nothing else', old.seq;
    end if;
    return new;
end
$$;

create function pause_is_lifted_once() returns trigger language plpgsql as $$
begin
    if old.lifted_at is not null
        or (new.id, new.scope, new.subject, new.reason, new.note, new.author, new.at)
            is distinct from (old.id, old.scope, old.subject, old.reason, old.note, old.author, old.at) then
        raise exception 'pause % can be lifted, once, and nothing else', old.id;
    end if;
    return new;
end
$$;

create trigger award_follows before insert on mint_award for each row execute function award_follows();
create trigger intent_is_born_unpaid before insert on mint_intent for each row execute function intent_is_born_unpaid();
create trigger intent_moves before update on mint_intent for each row execute function intent_moves();
create trigger intent_tells after insert or update on mint_intent for each row execute function intent_tells();
create constraint trigger intent_is_sound after update on mint_intent
    deferrable initially deferred for each row execute function intent_is_sound();
create trigger lane_moves before update on mint_lane for each row execute function lane_moves();
create constraint trigger lane_is_whole after insert or update on mint_lane
    deferrable initially deferred for each row execute function lane_is_whole();
create trigger slot_begins before insert on nonce_slot for each row execute function slot_begins();
create trigger slot_moves before update on nonce_slot for each row execute function slot_moves();
create trigger slot_evidence_holds before insert or update on nonce_slot for each row execute function slot_evidence_holds();
create trigger attempt_fits before insert on tx_attempt for each row execute function attempt_fits();
create constraint trigger attempt_has_live_slot after insert on tx_attempt
    deferrable initially deferred for each row execute function attempt_has_live_slot();
create trigger effect_fits before insert on mint_effect for each row execute function effect_fits();
create trigger effect_is_taken_back_once before update on mint_effect for each row execute function effect_is_taken_back_once();
create trigger line_is_told_once before update on mint_line for each row execute function line_is_told_once();
create trigger pause_is_lifted_once before update on mint_pause for each row execute function pause_is_lifted_once();
create trigger event_by_intent_only before insert on mint_event for each statement execute function event_by_intent_only();

create trigger award_stays before update or delete or truncate on mint_award for each statement execute function refuse_change();
create trigger intent_stays before delete or truncate on mint_intent for each statement execute function refuse_change();
create trigger lane_stays before delete or truncate on mint_lane for each statement execute function refuse_change();
create trigger slot_stays before delete or truncate on nonce_slot for each statement execute function refuse_change();
create trigger attempt_stays before update or delete or truncate on tx_attempt for each statement execute function refuse_change();
create trigger send_stays before update or delete or truncate on tx_send for each statement execute function refuse_change();
create trigger effect_stays before delete or truncate on mint_effect for each statement execute function refuse_change();
create trigger line_stays before delete or truncate on mint_line for each statement execute function refuse_change();
create trigger pause_stays before delete or truncate on mint_pause for each statement execute function refuse_change();
create trigger approval_stays before update or delete or truncate on mint_approval for each statement execute function refuse_change();
create trigger event_stays before update or delete or truncate on mint_event for each statement execute function refuse_change();

-- A session that plays a replica would pass by ordinary triggers.
do $$
declare
    guard record;
begin
    for guard in
        select tgrelid::regclass as relation, tgname from pg_trigger
        where not tgisinternal
          and tgrelid in ('mint_award'::regclass, 'mint_intent'::regclass, 'mint_lane'::regclass, 'nonce_slot'::regclass,
                          'tx_attempt'::regclass, 'tx_send'::regclass, 'mint_effect'::regclass, 'mint_line'::regclass,
                          'mint_pause'::regclass, 'mint_approval'::regclass, 'mint_event'::regclass)
    loop
        execute format('alter table %s enable always trigger %I', guard.relation, guard.tgname);
    end loop;
end
$$;

-- View ------------------------------------------------------------------------------------------------
create view mint as
    select i.id, a.contract, a.recipient, a.kind, a.award_seq, i.state, i.reason, i.note, i.cancel_by, i.failures, i.made_at,
           i.changed_at, s.sender, s.nonce, s.state as slot_state, s.by_txid, s.by_block, s.by_height, s.by_burn_height,
           t.attempts, t.txid, t.fee, e.kind as effect, e.txid as minted_txid, e.badge_id, e.at as effect_at,
           p.author as approved_by
    from mint_intent i
    join mint_award a on a.id = i.award_id
    left join lateral (
        select * from nonce_slot s where s.intent_id = i.id order by s.nonce desc limit 1
    ) s on true
    left join lateral (
        select count(*) over () as attempts, txid, fee from tx_attempt t
        where t.sender = s.sender and t.nonce = s.nonce order by fee desc, txid limit 1
    ) t on true
    left join mint_effect e on e.intent_id = i.id and e.taken_back_at is null
    left join mint_approval p on p.intent_id = i.id;
comment on view mint is 'Each intent with its award, its newest slot, that slot''s dearest transaction, and its effect.';

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select on mint_award, mint_intent, mint_lane, nonce_slot, tx_send, mint_effect, mint_line, mint_pause,
            mint_approval, mint_event, mint to stxworx_reader;
        -- Who has signed bytes that were never sent could send them.
        grant select (txid, sender, nonce, kind, intent_id, fee, fee_cap, adopted, epoch, signed_at, signed_height)
            on tx_attempt to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant select on mint_award, mint_intent, mint_lane, nonce_slot, tx_attempt, tx_send, mint_effect, mint_line,
            mint_pause, mint_approval, mint_event, mint to stxworx_writer;
        grant insert on mint_award, mint_intent, mint_lane, nonce_slot, tx_attempt, tx_send, mint_effect, mint_line,
            mint_pause, mint_approval to stxworx_writer;
        grant update on mint_intent, mint_lane, nonce_slot to stxworx_writer;
        grant update (taken_back_at) on mint_effect to stxworx_writer;
        grant update (told_at) on mint_line to stxworx_writer;
        grant update (lifted_at, lifted_by) on mint_pause to stxworx_writer;
        grant usage on sequence mint_award_id_seq, mint_intent_id_seq, tx_send_id_seq, mint_effect_id_seq, mint_line_seq_seq,
            mint_pause_id_seq, mint_event_id_seq to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
