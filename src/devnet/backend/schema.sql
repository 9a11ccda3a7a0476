-- The platform's own tables, in the form of its first version, with amounts wide enough to be right.
create table if not exists users (
    id uuid primary key default gen_random_uuid(),
    username text not null unique,
    stx_address text,
    total_earned numeric(39, 0),
    completed_projects integer
);
create table if not exists projects (
    id uuid primary key default gen_random_uuid(),
    on_chain_id integer,
    tx_id text,
    client_address text not null,
    freelancer_address text not null,
    total_amount numeric(39, 0) not null,
    token_type text not null,
    status text not null default 'PENDING',
    description text,
    milestone_1_amount numeric(39, 0), milestone_1_title text, milestone_1_funded boolean default false,
    milestone_1_complete boolean default false, milestone_1_released boolean default false,
    milestone_2_amount numeric(39, 0), milestone_2_title text, milestone_2_funded boolean default false,
    milestone_2_complete boolean default false, milestone_2_released boolean default false,
    milestone_3_amount numeric(39, 0), milestone_3_title text, milestone_3_funded boolean default false,
    milestone_3_complete boolean default false, milestone_3_released boolean default false,
    milestone_4_amount numeric(39, 0), milestone_4_title text, milestone_4_funded boolean default false,
    milestone_4_complete boolean default false, milestone_4_released boolean default false,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
);
create table if not exists escrows (
    id uuid primary key default gen_random_uuid(),
    on_chain_id integer,
    tx_id text,
    client_address text,
    freelancer_address text,
    amount numeric(39, 0),
    token_type text,
    status text default 'created',
    funded boolean default false,
    completed boolean default false,
    released boolean default false,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
);
create table if not exists nft_achievements (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references users (id),
    token_id bigint,
    achievement_type text not null,
    mint_tx_id text,
    minted_at timestamptz not null default clock_timestamp()
);
create table if not exists dao_transactions (
    id uuid primary key default gen_random_uuid(),
    from_address text,
    to_address text,
    amount numeric(39, 0),
    token_type text,
    transaction_type text,
    description text,
    tx_id text,
    "timestamp" timestamptz not null default clock_timestamp()
);
create table if not exists leaderboard_scores (
    user_id uuid not null references users (id),
    score_type text not null,
    score_value numeric(39, 0) not null,
    last_updated timestamptz not null default clock_timestamp(),
    primary key (user_id, score_type)
);
create table if not exists x_integrations (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null unique references users (id),
    handle text,
    verified boolean not null default false,
    follower_count integer,
    engagement_score integer,
    last_sync timestamptz
);
