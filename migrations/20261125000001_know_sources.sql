-- Payloads come from more than a node's observer: from its RPC, from a Stacks API, from an archive. They are stored
-- alike, in the form of the observer's, and say where they are from.
alter table inbox add column source smallint not null default 1 check (source between 1 and 4);
comment on column inbox.source is 'Who delivered it first: 1 a node''s event observer, 2 a node''s RPC, 3 a Stacks API, 4 an archive.';
alter table inbox add column scope bytea check (octet_length(scope) = 32);
comment on column inbox.scope is 'Null for a whole payload. Else SHA-256 of the follow set that it was cut down to: for another one it is not enough.';
create index inbox_scope on inbox (scope) where scope is not null;

alter table block alter column miner_txid drop not null;
comment on column block.miner_txid is 'Winning block-commit on Bitcoin; null where the source does not know it.';

-- Digests leave out what not every source knows and what other fields commit to. A mirror with digests of the older
-- rules is refused until it is built anew from its payloads.
alter table mirror add column digest_rules integer not null default 1;
comment on column mirror.digest_rules is 'Version of the rules that the digests follow.';

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select (source, scope) on inbox to stxworx_reader;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
