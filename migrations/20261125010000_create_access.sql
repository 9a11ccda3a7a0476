-- Who may do what, and who did: keys of the API, and every administrative action.
create table api_key (
    id             text primary key check (id ~ '^[0-9a-f]{16}$'),
    name           text not null check (char_length(name) between 1 and 100),
    role           text not null check (role in ('reader', 'operator', 'admin')),
    secret_sha256  bytea not null check (octet_length(secret_sha256) = 32),
    created_at     timestamptz not null default clock_timestamp(),
    expires_at     timestamptz,
    revoked_at     timestamptz,
    last_used_at   timestamptz
);
comment on table api_key is 'Keys of the API. The secret itself is shown once, when the key is made, and is nowhere else.';
comment on column api_key.id is 'The public part of the key, 16 hexadecimal digits.';
comment on column api_key.name is 'Whose key it is, for people. One name may have several keys, so that they can be changed without a gap.';
comment on column api_key.secret_sha256 is 'SHA-256 of the secret. The secret is 256 random bits, which no slower hash would make harder to guess.';
comment on column api_key.expires_at is 'Not valid from then on; null for never.';
comment on column api_key.revoked_at is 'Not valid from then on; null while it is in force.';
comment on column api_key.last_used_at is 'Noted every few minutes by processes that may write; null for never.';
create index api_key_name on api_key (name);

create table admin_action (
    id      bigint generated always as identity primary key,
    at      timestamptz not null default clock_timestamp(),
    actor   text not null check (char_length(actor) between 1 and 200),
    kind    text not null check (kind in ('key', 'token', 'cli')),
    role    text not null check (role in ('reader', 'operator', 'admin')),
    action  text not null check (action ~ '^[a-z][a-z0-9_.]{0,63}$'),
    target  text not null check (char_length(target) between 1 and 400),
    before  jsonb,
    after   jsonb
);
comment on table admin_action is 'Every administrative action, written in the transaction of the change that it describes. Only ever appended to.';
comment on column admin_action.actor is 'The name of the key, the subject of the token, or the account that ran the command.';
comment on column admin_action.kind is 'How the actor was known: by a key, by a token, or by running a command on a machine that reaches the database.';
comment on column admin_action.role is 'What the actor was allowed.';
comment on column admin_action.action is 'What was done, for instance key.create.';
comment on column admin_action.target is 'To what.';
comment on column admin_action.before is 'The target before; null where it was not there. Holds no secret.';
comment on column admin_action.after is 'The target after; null where it is gone. Holds no secret.';
create index admin_action_actor on admin_action (actor, id);
create index admin_action_action on admin_action (action, id);
create index admin_action_target on admin_action (target, id);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is only appended to', tg_table_name using errcode = 'insufficient_privilege';
end
$$;
comment on function refuse_change is 'Keeps a table append-only, for its owner as well.';
create trigger append_only before update or delete or truncate on admin_action
    for each statement execute function refuse_change();

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select on api_key, admin_action to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant select, insert on api_key, admin_action to stxworx_writer;
        grant update (revoked_at, last_used_at) on api_key to stxworx_writer;
        grant usage on sequence admin_action_id_seq to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
