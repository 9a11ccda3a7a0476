-- The books go on: accounts of those who pay for transactions, every balance that a node was asked for, and lines of
-- the outbox that stay until they are booked.
alter table posting drop constraint posting_account;
alter table posting add constraint posting_account
    check (account ~ '^(escrow|treasury|minter|external|suspense):[!-~]+$');
comment on column posting.account is 'escrow:CONTRACT:PROJECT, escrow:CONTRACT:unattributed, treasury:PRINCIPAL, minter:PRINCIPAL, external:PRINCIPAL, suspense:HOLDER.';
create index posting_holder on posting (split_part(account, ':', 2), asset) where account not like 'external:%';
comment on index posting_holder is 'Lines of one who holds money, for his balance.';

alter table ledger_progress add column fee_payers text[] not null default '{}';
comment on column ledger_progress.fee_payers is 'Principals whose network fees are booked (ledger.fee_payers) as of the last step; when the setting is another, every block is looked at again.';

create table ledger_proof (
    index_block_hash  bytea not null constraint ledger_proof_block check (octet_length(index_block_hash) = 32),
    holder            text not null,
    asset             text not null,
    height            integer not null,
    booked            numeric(60, 0) not null,
    opening           numeric(60, 0) not null,
    node              numeric(39, 0),
    verdict           text not null constraint ledger_proof_verdict check (verdict in ('agrees', 'differs', 'untold')),
    until_seq         bigint not null,
    proved_at_us      bigint not null,
    primary key (index_block_hash, holder, asset),
    constraint ledger_proof_told check (
        case verdict when 'untold' then node is null when 'agrees' then node = opening + booked
            else node <> opening + booked end)
);
comment on table ledger_proof is 'What a node said somebody who holds money had at a block, beside the books. The newest look at each block stays.';
comment on column ledger_proof.holder is 'An escrow, a treasury, or one who pays for transactions.';
comment on column ledger_proof.asset is 'STX, or the id of a token''s contract.';
comment on column ledger_proof.height is 'Stacks height of the block.';
comment on column ledger_proof.booked is 'By the books up to this block, pending bookings included. Base units.';
comment on column ledger_proof.opening is 'What the holder had before the mirror''s first block ended, and no booking tells of. Base units.';
comment on column ledger_proof.node is 'By the node as of this block; null where it, or the token, did not tell. Base units.';
comment on column ledger_proof.until_seq is 'The last journal at that moment.';
comment on column ledger_proof.proved_at_us is 'Unix microseconds, by the database''s clock.';
create index ledger_proof_place on ledger_proof (height, holder, asset);
create index ledger_proof_differs on ledger_proof (height) where verdict = 'differs';

create table ledger_proof_progress (
    only_row    boolean primary key default true check (only_row),
    proved_seq  bigint not null default 0
);
comment on table ledger_proof_progress is 'One row: up to where what was booked is proved against a node.';
comment on column ledger_proof_progress.proved_seq is 'Every block with a journal up to this one was compared, or is covered by a later one that was.';
insert into ledger_proof_progress default values;

-- The books are made of the outbox: nothing may go before it is booked. A rebuild empties it as a whole, and fills it
-- anew with every block; that is no pruning.
create function outbox_is_booked() returns trigger language plpgsql security definer set search_path from current as $$
begin
    if old.id > (select outbox_watermark from ledger_progress) then
        raise exception 'line % of the outbox is not booked, and stays until it is', old.id;
    end if;
    return old;
end
$$;
create trigger outbox_stays_until_booked before delete on outbox for each row execute function outbox_is_booked();

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select on ledger_proof, ledger_proof_progress to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant select, insert, update on ledger_proof to stxworx_writer;
        grant select, update on ledger_proof_progress to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
