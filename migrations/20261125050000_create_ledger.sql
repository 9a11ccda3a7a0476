-- The DAO's books: double entry, append-only, one hash chain over everything that was booked.
--
-- A booking is a row of `journal` with lines in `posting`. It is pending while its block is not final; then a row
-- `posted` or `void` follows that names it. A posted booking whose block left the chain all the same is answered by a
-- reversal, its exact negation. No row is ever changed, so that every balance of every moment can be told again.
--
-- The rules are held here, not by the program: the role that books does not own these tables.

create table ledger_head (
    only_row   boolean constraint ledger_head_pkey primary key default true check (only_row),
    count      bigint not null,
    hash       bytea not null
);
comment on table ledger_head is 'One row: how many journals there are, and the hash of the last one. Moved by the journal''s trigger and by nothing else.';
comment on column ledger_head.hash is 'SHA-256; zeros while there is no journal.';
insert into ledger_head (count, hash) values (0, decode(repeat('00', 32), 'hex'));

create table ledger_progress (
    only_row          boolean primary key default true check (only_row),
    outbox_watermark  bigint not null default 0,
    booked_height     integer,
    booked_block      bytea
);
comment on table ledger_progress is 'One row: up to where the outbox is booked. Moves in the transaction that books.';
comment on column ledger_progress.outbox_watermark is 'Every outbox row up to this id is booked.';
comment on column ledger_progress.booked_height is 'Stacks height of the canonical tip when the outbox was last booked to its end.';
comment on column ledger_progress.booked_block is 'Index block hash of that tip.';
insert into ledger_progress default values;

create table journal (
    seq                bigint primary key,
    kind               text not null constraint journal_kind check (kind in ('deposit', 'settlement', 'cancellation',
                           'spend', 'trial', 'unattributed', 'outflow', 'network_fee', 'reversal', 'posted', 'void')),
    event_key          text,
    of_seq             bigint,
    index_block_hash   bytea not null constraint journal_block check (octet_length(index_block_hash) = 32),
    height             integer not null,
    burn_block_height  integer not null,
    burn_block_time    bigint not null,
    txid               bytea not null constraint journal_txid check (octet_length(txid) = 32),
    contract           text,
    project            numeric(39, 0),
    note               text constraint journal_note check (note <> '' and note !~ '[[:cntrl:]]'),
    booked_at_us       bigint not null,
    created_xid        xid8 not null default pg_current_xact_id(),
    prev_hash          bytea not null,
    hash               bytea not null,
    constraint journal_names check ((event_key is null) = (kind in ('posted', 'void'))),
    constraint journal_refers check ((of_seq is null) = (kind not in ('posted', 'void', 'reversal'))),
    constraint journal_of_seq foreign key (of_seq) references journal (seq)
);
comment on table journal is 'What was booked, in order. posted and void tell what became of a pending booking and have no lines.';
comment on column journal.seq is 'From 1, without gaps.';
comment on column journal.event_key is 'CONTRACT:TXID:POSITION of the chain''s event: the same on every fork. A reversal has that of what it reverses.';
comment on column journal.of_seq is 'The booking that is posted, void or reversed.';
comment on column journal.index_block_hash is 'The block, on the fork on which the event was seen.';
comment on column journal.height is 'Stacks height of the block.';
comment on column journal.burn_block_time is 'Unix seconds of the Bitcoin block.';
comment on column journal.contract is 'The contract whose event it is.';
comment on column journal.project is 'The project at that contract, if it is about one.';
comment on column journal.note is 'What does not add up, and why something stands in a suspense account.';
comment on column journal.booked_at_us is 'When it was booked: Unix microseconds, by the database''s clock.';
comment on column journal.created_xid is 'The transaction that booked it; lines of another one are refused. Not part of the hash.';
comment on column journal.hash is 'SHA-256(prev_hash || ledger_bytes(seq)).';
create unique index journal_one_mark on journal (of_seq) where kind in ('posted', 'void');
create unique index journal_one_reversal on journal (of_seq) where kind = 'reversal';
create index journal_height on journal (height, seq);
create index journal_event on journal (event_key);
create index journal_block on journal (index_block_hash);
create index journal_project on journal (contract, project) where project is not null;

create table posting (
    seq      bigint not null constraint posting_journal references journal (seq),
    line     smallint not null,
    account  text not null constraint posting_account check (account ~ '^(escrow|treasury|external|suspense):[!-~]+$'),
    asset    text not null constraint posting_asset check (asset ~ '^[!-~]+$'),
    side     text not null constraint posting_side check (side in ('debit', 'credit')),
    amount   numeric(39, 0) not null constraint posting_amount
                 check (amount > 0 and amount <= 340282366920938463463374607431768211455),
    part     text not null constraint posting_part check (part ~ '^[a-z_]+$'),
    primary key (seq, line)
);
comment on table posting is 'The lines of a journal. A debit adds to what an account holds.';
comment on column posting.account is 'escrow:CONTRACT:PROJECT, escrow:CONTRACT:unattributed, treasury:PRINCIPAL, external:PRINCIPAL, suspense:HOLDER.';
comment on column posting.asset is 'STX, or the id of a token''s contract.';
comment on column posting.amount is 'Base units: micro-STX, or the token''s smallest unit.';
comment on column posting.part is 'What the line is of the journal: deposit, payout, fee, refund, spend, transfer and the like.';
create index posting_account_asset on posting (account, asset);
create index posting_suspense on posting (account, asset) where account like 'suspense:%';

create table live_event (
    event_key  text not null,
    kind       text not null,
    seq        bigint not null,
    pending    boolean not null default true,
    primary key (event_key, kind)
);
comment on table live_event is 'The one live booking of each event, whatever the forks (BK-2). Moved by the journal''s trigger and by nothing else.';
comment on column live_event.pending is 'Neither posted nor void yet.';
create index live_event_seq on live_event (seq);
create index live_event_pending on live_event (seq) where pending;

create table period_seal (
    number          integer primary key,
    from_height     integer not null,
    until_height    integer not null constraint seal_range check (until_height >= from_height),
    until_block     bytea not null constraint seal_block check (octet_length(until_block) = 32),
    until_time      bigint not null,
    head_count      bigint not null,
    head_hash       bytea not null,
    prev_seal       bytea not null,
    statement       text not null,
    seal            bytea not null constraint seal_hash check (octet_length(seal) = 32),
    public_key      bytea constraint seal_key check (octet_length(public_key) = 32),
    signature       bytea constraint seal_signature check (octet_length(signature) = 64),
    sealed_at_us    bigint not null,
    constraint seal_signed check ((public_key is null) = (signature is null))
);
comment on table period_seal is 'Closed periods. What is posted after a seal belongs to the period that is open then, whatever its height.';
comment on column period_seal.until_height is 'Last Stacks height of the period.';
comment on column period_seal.until_time is 'Unix seconds of that block''s Bitcoin block.';
comment on column period_seal.head_count is 'Journals at that moment; bookings posted behind it are of a later period.';
comment on column period_seal.prev_seal is 'Seal of the period before; zeros for the first.';
comment on column period_seal.statement is 'The statement as sealed, byte for byte.';
comment on column period_seal.seal is 'SHA-256 over number, range, block, head, prev_seal and the statement''s hash.';
comment on column period_seal.signature is 'Ed25519 over the seal, if a key was given.';
comment on column period_seal.sealed_at_us is 'Unix microseconds, by the database''s clock.';

-- Canonical bytes -------------------------------------------------------------------------------------
create function ledger_bytes(wanted bigint) returns bytea language sql stable set search_path from current as $$
    select convert_to(concat_ws(E'\n', j.seq, j.kind, coalesce(j.event_key, ''), coalesce(j.of_seq::text, ''),
               encode(j.index_block_hash, 'hex'), j.height, j.burn_block_height, j.burn_block_time,
               encode(j.txid, 'hex'), coalesce(j.contract, ''), coalesce(j.project::text, ''),
               coalesce(j.note, ''), j.booked_at_us) || E'\n'
           || coalesce((select string_agg(concat_ws(E'\t', p.line, p.account, p.asset, p.side, p.amount, p.part) || E'\n',
                            '' order by p.line) from posting p where p.seq = j.seq), ''), 'UTF8')
    from journal j where j.seq = wanted
$$;
comment on function ledger_bytes is 'What a journal''s hash is over: one field a line, then one posting a line with tabs between its fields.';

-- Guards ----------------------------------------------------------------------------------------------
create function ledger_append_only() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % is refused', tg_table_name, lower(tg_op);
end
$$;

-- A statement of a client stands at depth 1 in its trigger, one of the journal's own trigger deeper.
create function ledger_by_journal_only() returns trigger language plpgsql as $$
begin
    if pg_trigger_depth() < 2 then
        raise exception '% is moved by journals alone: % is refused', tg_table_name, lower(tg_op);
    end if;
    return null;
end
$$;

create function journal_in_sequence() returns trigger language plpgsql security definer set search_path from current as $$
declare
    head ledger_head;
begin
    select * into head from ledger_head for update;
    if new.seq is distinct from head.count + 1 or new.prev_hash is distinct from head.hash then
        raise exception 'journal % does not follow the head: % with hash %', new.seq, head.count, encode(head.hash, 'hex');
    end if;
    update ledger_head set count = new.seq, hash = new.hash;
    return new;
end
$$;

create function journal_target() returns trigger language plpgsql as $$
declare
    target text;
begin
    if new.of_seq is null then
        return new;
    end if;
    select kind into target from journal where seq = new.of_seq;
    if target in ('posted', 'void', 'reversal') then
        raise exception 'journal %: a % is not %', new.seq, target,
            case new.kind when 'reversal' then 'reversed' else new.kind end;
    end if;
    if new.kind = 'reversal' and not exists (select from journal where of_seq = new.of_seq and kind = 'posted') then
        raise exception 'journal %: only what is posted is reversed, and % is not', new.seq, new.of_seq;
    end if;
    return new;
end
$$;

create function journal_keeps_live() returns trigger language plpgsql security definer set search_path from current as $$
begin
    if new.kind in ('void', 'reversal') then
        delete from live_event where seq = new.of_seq;
    elsif new.kind = 'posted' then
        update live_event set pending = false where seq = new.of_seq;
    else
        insert into live_event (event_key, kind, seq) values (new.event_key, new.kind, new.seq);
    end if;
    return null;
end
$$;

create function journal_is_sound() returns trigger language plpgsql as $$
declare
    lines bigint;
    bad record;
begin
    select count(*) into lines from posting where seq = new.seq;
    if new.kind in ('posted', 'void') then
        if lines > 0 then
            raise exception 'journal %: % has no lines', new.seq, new.kind;
        end if;
    elsif lines < 2 then
        raise exception 'journal % has % lines, and needs two', new.seq, lines;
    end if;
    select asset, sum(case side when 'debit' then amount else -amount end) as off into bad
        from posting where seq = new.seq group by asset
        having sum(case side when 'debit' then amount else -amount end) <> 0 limit 1;
    if found then
        raise exception 'journal % does not balance in %: %', new.seq, bad.asset, bad.off;
    end if;
    return null;
end
$$;

create function journal_negates() returns trigger language plpgsql as $$
begin
    if new.kind = 'reversal' and exists (
        select from posting where seq in (new.seq, new.of_seq)
        group by account, asset
        having sum(case side when 'debit' then amount else -amount end) <> 0)
    then
        raise exception 'journal % is not the negation of %', new.seq, new.of_seq;
    end if;
    return null;
end
$$;

create function journal_is_hashed() returns trigger language plpgsql as $$
begin
    if new.hash is distinct from sha256(new.prev_hash || ledger_bytes(new.seq)) then
        raise exception 'journal % has a hash that is not its own', new.seq;
    end if;
    return null;
end
$$;

create function posting_is_born_with_journal() returns trigger language plpgsql as $$
begin
    if exists (select from journal where seq = new.seq and created_xid <> pg_current_xact_id()) then
        raise exception 'journal % is closed to new lines', new.seq;
    end if;
    return new;
end
$$;

create function seal_fits() returns trigger language plpgsql security definer set search_path from current as $$
declare
    last period_seal;
    head ledger_head;
begin
    -- Nothing is booked between this look and the commit.
    select * into head from ledger_head for share;
    select * into last from period_seal order by number desc limit 1;
    if new.number is distinct from coalesce(last.number, 0) + 1
        or new.prev_seal is distinct from coalesce(last.seal, decode(repeat('00', 32), 'hex')) then
        raise exception 'period % does not follow period %', new.number, coalesce(last.number, 0);
    end if;
    if last.number is not null and new.from_height is distinct from last.until_height + 1 then
        raise exception 'period % begins at height % and not behind %', new.number, new.from_height, last.until_height;
    end if;
    if (new.head_count, new.head_hash) is distinct from (head.count, head.hash) then
        raise exception 'the seal of period % is not over the head of the journal', new.number;
    end if;
    if exists (select from journal j where j.height <= new.until_height and j.kind not in ('posted', 'void', 'reversal')
               and not exists (select from journal m where m.of_seq = j.seq and m.kind in ('posted', 'void'))) then
        raise exception 'bookings up to height % are pending', new.until_height;
    end if;
    return new;
end
$$;

create trigger journal_in_sequence before insert on journal for each row execute function journal_in_sequence();
create trigger journal_target before insert on journal for each row execute function journal_target();
create trigger journal_keeps_live after insert on journal for each row execute function journal_keeps_live();
create constraint trigger journal_is_sound after insert on journal
    deferrable initially deferred for each row execute function journal_is_sound();
create constraint trigger journal_negates after insert on journal
    deferrable initially deferred for each row execute function journal_negates();
create constraint trigger journal_is_hashed after insert on journal
    deferrable initially deferred for each row execute function journal_is_hashed();
create trigger posting_is_born_with_journal before insert on posting
    for each row execute function posting_is_born_with_journal();
create trigger seal_fits before insert on period_seal for each row execute function seal_fits();

create trigger journal_no_update before update on journal for each statement execute function ledger_append_only();
create trigger journal_no_delete before delete on journal for each statement execute function ledger_append_only();
create trigger journal_no_truncate before truncate on journal for each statement execute function ledger_append_only();
create trigger posting_no_update before update on posting for each statement execute function ledger_append_only();
create trigger posting_no_delete before delete on posting for each statement execute function ledger_append_only();
create trigger posting_no_truncate before truncate on posting for each statement execute function ledger_append_only();
create trigger seal_no_update before update on period_seal for each statement execute function ledger_append_only();
create trigger seal_no_delete before delete on period_seal for each statement execute function ledger_append_only();
create trigger seal_no_truncate before truncate on period_seal for each statement execute function ledger_append_only();
create trigger head_by_journal_only before insert or update or delete on ledger_head
    for each statement execute function ledger_by_journal_only();
create trigger head_no_truncate before truncate on ledger_head for each statement execute function ledger_append_only();
create trigger live_by_journal_only before insert or update or delete on live_event
    for each statement execute function ledger_by_journal_only();
create trigger live_no_truncate before truncate on live_event for each statement execute function ledger_append_only();

-- A session that plays a replica would pass by ordinary triggers.
do $$
declare
    guard record;
begin
    for guard in
        select tgrelid::regclass as relation, tgname from pg_trigger
        where not tgisinternal
          and tgrelid in ('journal'::regclass, 'posting'::regclass, 'period_seal'::regclass, 'ledger_head'::regclass,
                          'live_event'::regclass)
    loop
        execute format('alter table %s enable always trigger %I', guard.relation, guard.tgname);
    end loop;
end
$$;

-- Views -----------------------------------------------------------------------------------------------
create view ledger_booking as
    select j.seq, j.kind, j.event_key, j.of_seq, j.index_block_hash, j.height, j.burn_block_height, j.burn_block_time,
           j.txid, j.contract, j.project, j.note, j.booked_at_us, j.hash,
           case when j.kind = 'reversal' then 'posted' else coalesce(m.kind, 'pending') end as state,
           case when j.kind = 'reversal' then j.seq when m.kind = 'posted' then m.seq end as posted_seq
    from journal j
    left join journal m on m.of_seq = j.seq and m.kind in ('posted', 'void')
    where j.kind not in ('posted', 'void');
comment on view ledger_booking is 'Bookings with what became of them: pending, posted or void.';

create view ledger_balance as
    select p.account, p.asset,
           coalesce(sum(case p.side when 'debit' then p.amount else -p.amount end) filter (where b.state = 'posted'), 0)
               as posted,
           coalesce(sum(case p.side when 'debit' then p.amount else -p.amount end) filter (where b.state = 'pending'), 0)
               as pending
    from posting p
    join ledger_booking b on b.seq = p.seq
    where b.state <> 'void'
    group by p.account, p.asset;
comment on view ledger_balance is 'What each account holds of each asset, base units: by final blocks, and by those that are not final yet.';

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select on ledger_head, ledger_progress, journal, posting, live_event, period_seal, ledger_booking,
            ledger_balance to stxworx_reader;
        grant execute on function ledger_bytes to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant select on ledger_head, ledger_progress, journal, posting, live_event, period_seal, ledger_booking,
            ledger_balance to stxworx_writer;
        grant insert on journal, posting, period_seal to stxworx_writer;
        grant update on ledger_progress to stxworx_writer;
        grant execute on function ledger_bytes to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
