-- What the node said of each contract's chain of events, at the block where the mirror stood.
create table cursor_proof (
    contract          text primary key,
    index_block_hash  bytea not null check (length(index_block_hash) = 32),
    height            integer not null,
    seq               numeric(39, 0) not null,
    head              bytea not null check (length(head) = 32),
    node_seq          numeric(39, 0),
    node_head         bytea,
    verdict           text not null check (verdict in ('proved', 'differs', 'no_cursor')),
    checked_at        timestamptz not null default clock_timestamp(),
    last_difference   text
);
comment on table cursor_proof is 'The newest comparison of each contract''s chain of events with the contract''s own cursor. Not derived from payloads: it is asked of a node, at a block.';
comment on column cursor_proof.index_block_hash is 'The block at which mirror and node were compared; it may have left the canonical chain since.';
comment on column cursor_proof.seq is 'Number of the newest event in the mirror at that block.';
comment on column cursor_proof.head is 'SHA-256 of that event.';
comment on column cursor_proof.verdict is 'proved: number and hash are the contract''s own. differs: they are not (EV-2). no_cursor: the contract has no get-cursor.';
comment on column cursor_proof.last_difference is 'The last difference ever seen, in words; it stays when later comparisons are equal.';

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        execute 'grant select on cursor_proof to stxworx_reader';
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        execute 'grant select, insert, update on cursor_proof to stxworx_writer';
    end if;
end
$$;
