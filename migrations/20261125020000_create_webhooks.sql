-- Telling others: who is woken when the outbox grows, and webhooks.

-- The outbox by block: where a block that is canonical now was applied last.
create index outbox_block on outbox (block_id, id);

-- A hint for whoever reads the outbox; without it they look by themselves, only later. Bitcoin blocks move finality.
create function tell_of_outbox() returns trigger language plpgsql as $$
begin
    perform pg_notify('stxworx_outbox', '');
    return null;
end
$$;
comment on function tell_of_outbox is 'Wakes the streams and webhooks, at the commit.';
create trigger outbox_told after insert on outbox for each statement execute function tell_of_outbox();
create trigger burn_block_told after insert on burn_block for each statement execute function tell_of_outbox();

create table webhook (
    id            bigint generated always as identity primary key,
    url           text not null,
    filter        jsonb not null,
    min_finality  text not null,
    on_failure    text not null check (on_failure in ('skip', 'pause')),
    max_attempts  integer not null check (max_attempts between 1 and 1000),
    state         text not null check (state in ('active', 'paused', 'disabled')),
    reason        text,
    position      text not null,
    resets        integer not null default 0,
    tests         integer not null default 0,
    owner         text not null,
    created_at    timestamptz not null default clock_timestamp(),
    changed_at    timestamptz not null default clock_timestamp()
);
comment on table webhook is 'Who is told of changes by HTTP. The address may hold a secret, so that only the writer reads it.';
comment on column webhook.filter is 'What is told; the fields of the stream''s filter.';
comment on column webhook.min_finality is 'seen, burn_n or final: how deep a block must lie before it is told.';
comment on column webhook.on_failure is 'What follows max_attempts failures: skip sets the delivery aside as a dead letter and goes on; pause does that and stops the webhook.';
comment on column webhook.state is 'active; paused: nothing is sent, and it goes on where it was; disabled: the same, by its owner for good.';
comment on column webhook.reason is 'Why the service paused it.';
comment on column webhook.position is 'The stream''s position up to which everything is told, or set aside.';
comment on column webhook.resets is 'How often the mirror was made anew under it.';
comment on column webhook.tests is 'Test deliveries asked for.';
comment on column webhook.owner is 'Who made it.';
comment on column webhook.changed_at is 'Last change by an operator.';

create table webhook_secret (
    id          bigint generated always as identity primary key,
    webhook_id  bigint not null references webhook (id) on delete cascade,
    secret      text not null,
    created_at  timestamptz not null default clock_timestamp(),
    expires_at  timestamptz
);
comment on table webhook_secret is 'Keys of signatures. Kept as they are, because signing needs them; for the writer only.';
comment on column webhook_secret.expires_at is 'From then on it signs nothing; null for the newest.';
create index webhook_secret_webhook on webhook_secret (webhook_id);

create table webhook_delivery (
    webhook_id       bigint not null references webhook (id) on delete cascade,
    line             bigint not null,
    part             integer not null,
    kind             text not null check (kind in ('frame', 'reset', 'test')),
    position         text not null,
    state            text not null check (state in ('pending', 'delivered', 'dead')),
    redriven         boolean not null default false,
    attempts         integer not null default 0,
    created_at       timestamptz not null default clock_timestamp(),
    next_attempt_at  timestamptz not null default clock_timestamp(),
    ended_at         timestamptz,
    response_code    integer,
    last_error       text,
    primary key (webhook_id, line, part)
);
comment on table webhook_delivery is 'What was told to whom, and what could not be. A webhook has at most one pending row that is neither redriven nor a test: the next one follows when it has ended.';
comment on column webhook_delivery.line is 'outbox.id; 0 for a reset, -1 for a test.';
comment on column webhook_delivery.part is 'Part of the line, from 1; for resets and tests their number.';
comment on column webhook_delivery.kind is 'frame: a line of the outbox. reset: what was told before does not hold any more. test: asked for by an operator.';
comment on column webhook_delivery.position is 'The stream''s position behind it.';
comment on column webhook_delivery.state is 'pending; delivered: answered with 2xx; dead: given up, until it is driven again.';
comment on column webhook_delivery.redriven is 'A dead letter that is sent again, out of its order.';
comment on column webhook_delivery.ended_at is 'When it was delivered, or given up.';
comment on column webhook_delivery.response_code is 'HTTP status of the last answer; null when there was none.';
comment on column webhook_delivery.last_error is 'Why the last attempt failed, cut.';
create index webhook_delivery_open on webhook_delivery (webhook_id, state, next_attempt_at) where state in ('pending', 'dead');

create table webhook_lease (
    only_row    boolean primary key default true check (only_row),
    holder      text not null,
    epoch       bigint not null,
    expires_at  timestamptz not null
);
comment on table webhook_lease is 'One row: the process that sends, and until when the others wait for it.';
comment on column webhook_lease.holder is 'HOST:PROCESS-ID:NUMBER of the one that took it last.';
comment on column webhook_lease.epoch is 'Rises with each taking; what a sender notes names it, so that one that lost the lease notes nothing.';
comment on column webhook_lease.expires_at is 'From then on another process may take it, by the database''s clock.';

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant select on webhook_delivery, webhook_lease to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant select, insert, update, delete on webhook, webhook_secret, webhook_delivery to stxworx_writer;
        grant select, insert, update on webhook_lease to stxworx_writer;
        grant usage on all sequences in schema public to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
