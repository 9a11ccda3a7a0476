-- The read contract: views for services that read PostgreSQL directly. Names, types and order of columns stay as
-- they are for as long as the schema is named api_v1; a change that a reader would notice gets api_v2 beside it.
-- docs/sql-api.md lists them; a test compares both with what is here.
create schema api_v1;
comment on schema api_v1 is 'Views that stay as they are: the canonical chain and the marketplace at its tip.';

create view api_v1.as_of as
    select b.index_block_hash as index_block_hash,
           b.height as height,
           coalesce(b.block_time, b.burn_block_time) as time,
           greatest((select max(n.height) from burn_block n), b.burn_block_height) as burn_height,
           b.digest as digest,
           m.generation as generation
    from mirror m
    join block b on b.id = m.tip_block_id;
comment on view api_v1.as_of is 'One row: the canonical tip, for which every view of this schema is true within one transaction of isolation level repeatable read.';
comment on column api_v1.as_of.index_block_hash is 'Identity of the canonical tip.';
comment on column api_v1.as_of.height is 'Its Stacks height.';
comment on column api_v1.as_of.time is 'Its clock, unix seconds: its own time, or its Bitcoin block''s before epoch 3.0.';
comment on column api_v1.as_of.burn_height is 'Height of the newest Bitcoin block known.';
comment on column api_v1.as_of.digest is 'Digest chain at the tip.';
comment on column api_v1.as_of.generation is 'Rises with every reorg and when recomputed rows are swapped in or out.';

create view api_v1.blocks as
    select b.height as height,
           b.index_block_hash as index_block_hash,
           b.parent as parent_index_block_hash,
           coalesce(b.block_time, b.burn_block_time) as time,
           b.burn_block_hash as burn_block_hash,
           b.burn_block_height as burn_block_height,
           b.digest as digest
    from canonical c
    join block b on b.id = c.block_id;
comment on view api_v1.blocks is 'Blocks of the canonical chain.';
comment on column api_v1.blocks.height is 'Stacks height.';
comment on column api_v1.blocks.index_block_hash is 'Identity.';
comment on column api_v1.blocks.parent_index_block_hash is 'Identity of the parent.';
comment on column api_v1.blocks.time is 'Clock, unix seconds: the block''s own time, or its Bitcoin block''s before epoch 3.0.';
comment on column api_v1.blocks.burn_block_hash is 'Bitcoin block of the sortition that elected the tenure.';
comment on column api_v1.blocks.burn_block_height is 'Its height.';
comment on column api_v1.blocks.digest is 'Digest chain at the block.';

create view api_v1.transactions as
    select t.height as height,
           t.tx_index as tx_index,
           t.txid as txid,
           b.index_block_hash as index_block_hash,
           t.kind as kind,
           t.status as status,
           s.name as sender,
           p.name as sponsor,
           k.name as contract,
           t.function as function,
           t.nonce as nonce,
           t.fee as fee
    from canonical c
    join block b on b.id = c.block_id
    join transaction t on t.block_id = b.id
    left join principal s on s.id = t.sender
    left join principal p on p.id = t.sponsor
    left join principal k on k.id = t.contract;
comment on view api_v1.transactions is 'Mirrored transactions of the canonical chain.';
comment on column api_v1.transactions.height is 'Stacks height.';
comment on column api_v1.transactions.tx_index is 'Position in the block.';
comment on column api_v1.transactions.txid is 'Transaction id.';
comment on column api_v1.transactions.index_block_hash is 'The block.';
comment on column api_v1.transactions.kind is 'Kind, for instance contract_call.';
comment on column api_v1.transactions.status is 'success, abort_by_response or abort_by_post_condition.';
comment on column api_v1.transactions.sender is 'Who sent it; null for an operation that nobody signed.';
comment on column api_v1.transactions.sponsor is 'Who paid for it, if another.';
comment on column api_v1.transactions.contract is 'The contract called or deployed.';
comment on column api_v1.transactions.function is 'The function called.';
comment on column api_v1.transactions.nonce is 'Nonce of the sender.';
comment on column api_v1.transactions.fee is 'Micro-STX.';

create view api_v1.events as
    select e.height as height,
           e.tx_index as tx_index,
           e.ordinal as ordinal,
           t.txid as txid,
           b.index_block_hash as index_block_hash,
           e.kind as kind,
           k.name as contract,
           e.topic as topic,
           e.asset as asset,
           s.name as sender,
           r.name as recipient,
           e.amount as amount,
           e.value as value
    from canonical c
    join block b on b.id = c.block_id
    join event e on e.block_id = b.id
    join transaction t on t.block_id = e.block_id and t.tx_index = e.tx_index
    left join principal k on k.id = e.contract
    left join principal s on s.id = e.sender
    left join principal r on r.id = e.recipient;
comment on view api_v1.events is 'Committed events of the canonical chain.';
comment on column api_v1.events.height is 'Stacks height.';
comment on column api_v1.events.tx_index is 'Position of the transaction in the block.';
comment on column api_v1.events.ordinal is 'Position among the committed events of the transaction.';
comment on column api_v1.events.txid is 'Transaction id.';
comment on column api_v1.events.index_block_hash is 'The block.';
comment on column api_v1.events.kind is '1 contract, 2 stx_transfer, 3 stx_mint, 4 stx_burn, 5 stx_lock, 6 ft_transfer, 7 ft_mint, 8 ft_burn, 9 nft_transfer, 10 nft_mint, 11 nft_burn, 12 other.';
comment on column api_v1.events.contract is 'The contract that printed, defines the token, or locked.';
comment on column api_v1.events.topic is 'Field topic (or event) of a printed tuple.';
comment on column api_v1.events.asset is 'Name of the token in its contract.';
comment on column api_v1.events.sender is 'Who gave.';
comment on column api_v1.events.recipient is 'Who received.';
comment on column api_v1.events.amount is 'Base units: micro-STX, or the token''s smallest unit.';
comment on column api_v1.events.value is 'Serialised Clarity value of a print or an NFT id; memo of a transfer.';

create view api_v1.projects as
    select v.state ->> 'contract' as contract,
           (v.state ->> 'id')::numeric(39, 0) as id,
           v.state ->> 'client' as client,
           v.state ->> 'freelancer' as freelancer,
           v.state ->> 'arbiter' as arbiter,
           v.state ->> 'asset' as asset,
           v.state ->> 'status' as status,
           (v.state ->> 'total')::numeric(39, 0) as total,
           (v.state ->> 'paid')::numeric(39, 0) as paid,
           (v.state ->> 'fees')::numeric(39, 0) as fees,
           (v.state ->> 'refunded')::numeric(39, 0) as refunded,
           (v.state ->> 'fee_bps')::numeric(39, 0) as fee_bps,
           (v.state ->> 'accept_until')::numeric(39, 0) as accept_until,
           v.state ->> 'meta' as meta,
           (v.state ->> 'opened_height')::integer as opened_height,
           v.state ->> 'opened' as opened_txid,
           v.state ->> 'closed' as closed_txid,
           v.height as changed_height,
           b.index_block_hash as changed_index_block_hash
    from projection_current k
    join projection_version v on v.id = k.version_id
    join block b on b.id = v.block_id
    where k.projection = 10;
comment on view api_v1.projects is 'Projects of the escrows, as they stand at the tip.';
comment on column api_v1.projects.contract is 'The escrow.';
comment on column api_v1.projects.id is 'Number of the project at the escrow.';
comment on column api_v1.projects.client is 'Who pays.';
comment on column api_v1.projects.freelancer is 'Who works.';
comment on column api_v1.projects.arbiter is 'Who rules.';
comment on column api_v1.projects.asset is 'STX or the token''s contract.';
comment on column api_v1.projects.status is 'open, active, completed, refunded, settled or cancelled.';
comment on column api_v1.projects.total is 'Base units locked at the start.';
comment on column api_v1.projects.paid is 'Base units that the freelancer received.';
comment on column api_v1.projects.fees is 'Base units that the treasury received.';
comment on column api_v1.projects.refunded is 'Base units that went back.';
comment on column api_v1.projects.fee_bps is 'Fee in basis points.';
comment on column api_v1.projects.accept_until is 'Last Bitcoin height of acceptance.';
comment on column api_v1.projects.meta is 'Hash of the description, 0x and hexadecimal digits.';
comment on column api_v1.projects.opened_height is 'Stacks height of the block that opened it; 0 where that is below the mirror''s origin.';
comment on column api_v1.projects.opened_txid is 'The transaction that opened it, 0x and hexadecimal digits.';
comment on column api_v1.projects.closed_txid is 'The transaction that ended it; null while it goes on.';
comment on column api_v1.projects.changed_height is 'Stacks height of the block with the last change.';
comment on column api_v1.projects.changed_index_block_hash is 'Its identity.';

create view api_v1.milestones as
    select v.state ->> 'contract' as contract,
           (v.state ->> 'id')::numeric(39, 0) as project,
           (m.value ->> 'm')::numeric(39, 0) as m,
           (m.value ->> 'amount')::numeric(39, 0) as amount,
           v.state ->> 'asset' as asset,
           (m.value ->> 'due')::numeric(39, 0) as due,
           m.value ->> 'status' as status,
           (m.value ->> 'rev')::numeric(39, 0) as rev,
           (m.value ->> 'review_until')::numeric(39, 0) as review_until,
           m.value -> 'offer' ->> 'by' as offer_by,
           (m.value -> 'offer' ->> 'bps')::numeric(39, 0) as offer_bps,
           (m.value -> 'offer' ->> 'until')::numeric(39, 0) as offer_until,
           m.value ->> 'cause' as cause,
           (m.value ->> 'payout')::numeric(39, 0) as payout,
           (m.value ->> 'fee')::numeric(39, 0) as fee,
           (m.value ->> 'refund')::numeric(39, 0) as refund,
           m.value ->> 'settled' as settled_txid
    from projection_current k
    join projection_version v on v.id = k.version_id
    cross join lateral jsonb_array_elements(v.state -> 'milestones') m
    where k.projection = 10;
comment on view api_v1.milestones is 'Milestones of projects, as they stand at the tip.';
comment on column api_v1.milestones.contract is 'The escrow.';
comment on column api_v1.milestones.project is 'Number of the project.';
comment on column api_v1.milestones.m is 'Number of the milestone, from 1.';
comment on column api_v1.milestones.amount is 'Base units.';
comment on column api_v1.milestones.asset is 'STX or the token''s contract.';
comment on column api_v1.milestones.due is 'Bitcoin height until which work is to be handed in.';
comment on column api_v1.milestones.status is 'funded, submitted, disputed, released, refunded or split.';
comment on column api_v1.milestones.rev is 'Times it was sent back.';
comment on column api_v1.milestones.review_until is 'Last Bitcoin height of the review, once handed in.';
comment on column api_v1.milestones.offer_by is 'Who offers to settle; null without an offer.';
comment on column api_v1.milestones.offer_bps is 'The freelancer''s share that is offered, basis points.';
comment on column api_v1.milestones.offer_until is 'Last Bitcoin height of the offer.';
comment on column api_v1.milestones.cause is 'How it ended: release, timeout, expired, ruling, stale or settle; null while it goes on.';
comment on column api_v1.milestones.payout is 'Base units to the freelancer.';
comment on column api_v1.milestones.fee is 'Base units to the treasury.';
comment on column api_v1.milestones.refund is 'Base units back to the client.';
comment on column api_v1.milestones.settled_txid is 'The transaction that settled it, 0x and hexadecimal digits.';

create view api_v1.disputes as
    select v.state ->> 'contract' as contract,
           (v.state ->> 'id')::numeric(39, 0) as project,
           (m.value ->> 'm')::numeric(39, 0) as m,
           v.state ->> 'client' as client,
           v.state ->> 'freelancer' as freelancer,
           v.state ->> 'arbiter' as arbiter,
           m.value ->> 'disputed_by' as disputed_by,
           (m.value ->> 'resolve_until')::numeric(39, 0) as resolve_until,
           case when m.value ->> 'settled' is null then 'open' else 'ruled' end as status,
           m.value ->> 'cause' as cause,
           (m.value ->> 'payout')::numeric(39, 0) as payout,
           (m.value ->> 'refund')::numeric(39, 0) as refund
    from projection_current k
    join projection_version v on v.id = k.version_id
    cross join lateral jsonb_array_elements(v.state -> 'milestones') m
    where k.projection = 10
      and m.value ->> 'disputed_by' is not null;
comment on view api_v1.disputes is 'Milestones that were disputed.';
comment on column api_v1.disputes.contract is 'The escrow.';
comment on column api_v1.disputes.project is 'Number of the project.';
comment on column api_v1.disputes.m is 'Number of the milestone, from 1.';
comment on column api_v1.disputes.client is 'Who pays.';
comment on column api_v1.disputes.freelancer is 'Who works.';
comment on column api_v1.disputes.arbiter is 'Who rules.';
comment on column api_v1.disputes.disputed_by is 'Who called the arbiter: client or freelancer.';
comment on column api_v1.disputes.resolve_until is 'Last Bitcoin height for a ruling.';
comment on column api_v1.disputes.status is 'open, or ruled once the milestone is settled, for whatever cause.';
comment on column api_v1.disputes.cause is 'How it ended; null while it is open.';
comment on column api_v1.disputes.payout is 'Base units to the freelancer.';
comment on column api_v1.disputes.refund is 'Base units back to the client.';

create view api_v1.treasury_fees as
    select v.state ->> 'contract' as contract,
           (v.state ->> 'id')::numeric(39, 0) as project,
           (m.value ->> 'm')::numeric(39, 0) as m,
           v.state ->> 'asset' as asset,
           (m.value ->> 'amount')::numeric(39, 0) as amount,
           (m.value ->> 'fee')::numeric(39, 0) as fee,
           m.value ->> 'cause' as cause,
           m.value ->> 'settled' as txid
    from projection_current k
    join projection_version v on v.id = k.version_id
    cross join lateral jsonb_array_elements(v.state -> 'milestones') m
    where k.projection = 10
      and (m.value ->> 'fee')::numeric > 0;
comment on view api_v1.treasury_fees is 'Fees, one per settled milestone that paid one.';
comment on column api_v1.treasury_fees.contract is 'The escrow.';
comment on column api_v1.treasury_fees.project is 'Number of the project.';
comment on column api_v1.treasury_fees.m is 'Number of the milestone, from 1.';
comment on column api_v1.treasury_fees.asset is 'STX or the token''s contract.';
comment on column api_v1.treasury_fees.amount is 'Base units of the milestone.';
comment on column api_v1.treasury_fees.fee is 'Base units to the treasury.';
comment on column api_v1.treasury_fees.cause is 'How the milestone ended.';
comment on column api_v1.treasury_fees.txid is 'The transaction, 0x and hexadecimal digits.';

create view api_v1.profiles as
    select split_part(k.entity, '/', 1) as contract,
           v.state ->> 'user' as principal,
           v.state ->> 'handle' as handle,
           v.state ->> 'meta' as meta,
           v.state -> 'x' ->> 'handle_hash' as x_handle_hash,
           (v.state -> 'x' ->> 'expires')::numeric(39, 0) as x_expires,
           (v.state ->> 'completed')::numeric(39, 0) as completed,
           (v.state ->> 'settled')::numeric(39, 0) as settled,
           (v.state ->> 'disputes')::numeric(39, 0) as disputes,
           (v.state ->> 'lost')::numeric(39, 0) as lost,
           (v.state ->> 'rating_sum')::numeric(39, 0) as rating_sum,
           (v.state ->> 'rating_count')::numeric(39, 0) as rating_count,
           v.height as changed_height,
           b.index_block_hash as changed_index_block_hash
    from projection_current k
    join projection_version v on v.id = k.version_id
    join block b on b.id = v.block_id
    where k.projection = 12;
comment on view api_v1.profiles is 'Users of whom freelance-data has told anything.';
comment on column api_v1.profiles.contract is 'The contract that keeps the profile.';
comment on column api_v1.profiles.principal is 'The user.';
comment on column api_v1.profiles.handle is 'The name that the user took.';
comment on column api_v1.profiles.meta is 'Hash of the profile''s metadata, 0x and hexadecimal digits.';
comment on column api_v1.profiles.x_handle_hash is 'Hash of the attested X account''s name; null without one.';
comment on column api_v1.profiles.x_expires is 'Last Bitcoin height for which the attestation holds.';
comment on column api_v1.profiles.completed is 'Projects that ended with every milestone paid in full.';
comment on column api_v1.profiles.settled is 'Milestones that were settled.';
comment on column api_v1.profiles.disputes is 'Disputes that the user was a party of.';
comment on column api_v1.profiles.lost is 'Rulings against the user.';
comment on column api_v1.profiles.rating_sum is 'Stars received.';
comment on column api_v1.profiles.rating_count is 'Ratings received.';
comment on column api_v1.profiles.changed_height is 'Stacks height of the block with the last change.';
comment on column api_v1.profiles.changed_index_block_hash is 'Its identity.';

create view api_v1.earnings as
    select split_part(k.entity, '/', 1) as contract,
           v.state ->> 'user' as principal,
           e.key as asset,
           e.value::numeric(39, 0) as earned
    from projection_current k
    join projection_version v on v.id = k.version_id
    cross join lateral jsonb_each_text(v.state -> 'earned') e
    where k.projection = 12;
comment on view api_v1.earnings is 'What users earned, by asset.';
comment on column api_v1.earnings.contract is 'The contract that keeps the profile.';
comment on column api_v1.earnings.principal is 'The user.';
comment on column api_v1.earnings.asset is 'STX or the token''s contract.';
comment on column api_v1.earnings.earned is 'Base units, fee included.';

create view api_v1.badges as
    select v.state ->> 'contract' as contract,
           (v.state ->> 'id')::numeric(39, 0) as id,
           (v.state ->> 'kind')::numeric(39, 0) as kind,
           v.state ->> 'owner' as owner,
           v.state ->> 'via' as via,
           (v.state ->> 'minted_height')::integer as minted_height,
           v.state ->> 'minted' as minted_txid,
           v.state ->> 'revoked' as revoked,
           v.height as changed_height,
           b.index_block_hash as changed_index_block_hash
    from projection_current k
    join projection_version v on v.id = k.version_id
    join block b on b.id = v.block_id
    where k.projection = 13;
comment on view api_v1.badges is 'Badges, revoked ones among them.';
comment on column api_v1.badges.contract is 'The badges'' contract.';
comment on column api_v1.badges.id is 'Number of the token.';
comment on column api_v1.badges.kind is 'Number of its kind; the settings'' topic kind-set has them.';
comment on column api_v1.badges.owner is 'Who has it; null once it is revoked.';
comment on column api_v1.badges.via is 'mint or claim.';
comment on column api_v1.badges.minted_height is 'Stacks height of the block that minted it.';
comment on column api_v1.badges.minted_txid is 'The transaction that minted it, 0x and hexadecimal digits.';
comment on column api_v1.badges.revoked is 'Why it was revoked, as a hash; null while it is not.';
comment on column api_v1.badges.changed_height is 'Stacks height of the block with the last change.';
comment on column api_v1.badges.changed_index_block_hash is 'Its identity.';

create view api_v1.governance_actions as
    select v.state ->> 'contract' as contract,
           (v.state ->> 'id')::numeric(39, 0) as id,
           v.state ->> 'kind' as kind,
           (v.state ->> 'class')::numeric(39, 0) as class,
           v.state -> 'args' as args,
           v.state ->> 'proposer' as proposer,
           jsonb_array_length(v.state -> 'approvals') as approvals,
           jsonb_array_length(v.state -> 'rejections') as rejections,
           (v.state ->> 'eta')::numeric(39, 0) as eta,
           (v.state ->> 'expires')::numeric(39, 0) as expires,
           (v.state ->> 'epoch')::numeric(39, 0) as epoch,
           v.state ->> 'status' as status,
           v.state ->> 'executed' as executed_txid,
           v.height as changed_height,
           b.index_block_hash as changed_index_block_hash
    from projection_current k
    join projection_version v on v.id = k.version_id
    join block b on b.id = v.block_id
    where k.projection = 14;
comment on view api_v1.governance_actions is 'Governed actions.';
comment on column api_v1.governance_actions.contract is 'The multisig.';
comment on column api_v1.governance_actions.id is 'Number of the action.';
comment on column api_v1.governance_actions.kind is 'What it does, for instance set-fee.';
comment on column api_v1.governance_actions.class is '1 critical, 2 routine, 3 emergency.';
comment on column api_v1.governance_actions.args is 'Its arguments by the contract''s names, numbers as text.';
comment on column api_v1.governance_actions.proposer is 'Who proposed it.';
comment on column api_v1.governance_actions.approvals is 'How many approve it now.';
comment on column api_v1.governance_actions.rejections is 'How many are against it.';
comment on column api_v1.governance_actions.eta is 'First Bitcoin height at which it may be executed.';
comment on column api_v1.governance_actions.expires is 'Last Bitcoin height at which it may be executed.';
comment on column api_v1.governance_actions.epoch is 'Epoch of the signers; another one ends it.';
comment on column api_v1.governance_actions.status is 'pending, executed or cancelled; a pending one may have expired.';
comment on column api_v1.governance_actions.executed_txid is 'The transaction that executed it, 0x and hexadecimal digits.';
comment on column api_v1.governance_actions.changed_height is 'Stacks height of the block with the last change.';
comment on column api_v1.governance_actions.changed_index_block_hash is 'Its identity.';

create view api_v1.signers as
    select k.entity as contract,
           s.value as signer,
           (v.state ->> 'epoch')::numeric(39, 0) as epoch
    from projection_current k
    join projection_version v on v.id = k.version_id
    cross join lateral jsonb_array_elements_text(v.state -> 'signers') s
    where k.projection = 15;
comment on view api_v1.signers is 'Who signs for a multisig.';
comment on column api_v1.signers.contract is 'The multisig.';
comment on column api_v1.signers.signer is 'A signer.';
comment on column api_v1.signers.epoch is 'Rises with each change of signers.';

create view api_v1.assets as
    select v.state ->> 'contract' as contract,
           v.state ->> 'asset' as asset,
           (v.state ->> 'enabled')::boolean as enabled,
           (v.state ->> 'max')::numeric(39, 0) as max,
           (v.state ->> 'decimals')::numeric(39, 0) as decimals,
           (v.state ->> 'locked')::numeric(39, 0) as locked,
           (v.state ->> 'deposited')::numeric(39, 0) as deposited,
           (v.state ->> 'paid')::numeric(39, 0) as paid,
           (v.state ->> 'fees')::numeric(39, 0) as fees,
           (v.state ->> 'refunded')::numeric(39, 0) as refunded,
           (v.state ->> 'projects')::numeric(39, 0) as projects,
           (v.state ->> 'settlements')::numeric(39, 0) as settlements,
           v.height as changed_height,
           b.index_block_hash as changed_index_block_hash
    from projection_current k
    join projection_version v on v.id = k.version_id
    join block b on b.id = v.block_id
    where k.projection = 11;
comment on view api_v1.assets is 'Assets of the escrows: their terms, and where the money is.';
comment on column api_v1.assets.contract is 'The escrow.';
comment on column api_v1.assets.asset is 'STX or the token''s contract.';
comment on column api_v1.assets.enabled is 'May be escrowed.';
comment on column api_v1.assets.max is 'Base units of the largest milestone.';
comment on column api_v1.assets.decimals is 'Digits after the point.';
comment on column api_v1.assets.locked is 'Base units in milestones that are not settled.';
comment on column api_v1.assets.deposited is 'Base units ever locked.';
comment on column api_v1.assets.paid is 'Base units to freelancers.';
comment on column api_v1.assets.fees is 'Base units to the treasury.';
comment on column api_v1.assets.refunded is 'Base units back to clients.';
comment on column api_v1.assets.projects is 'Projects opened.';
comment on column api_v1.assets.settlements is 'Milestones settled.';
comment on column api_v1.assets.changed_height is 'Stacks height of the block with the last change.';
comment on column api_v1.assets.changed_index_block_hash is 'Its identity.';

create view api_v1.treasury as
    select split_part(k.entity, '|', 1) as treasury,
           split_part(k.entity, '|', 2) as asset,
           (v.state ->> 'fees')::numeric(39, 0) as fees,
           (v.state ->> 'fee_count')::numeric(39, 0) as fee_count,
           (v.state ->> 'spent')::numeric(39, 0) as spent,
           (v.state ->> 'spend_count')::numeric(39, 0) as spend_count,
           v.height as changed_height,
           b.index_block_hash as changed_index_block_hash
    from projection_current k
    join projection_version v on v.id = k.version_id
    join block b on b.id = v.block_id
    where k.projection = 17;
comment on view api_v1.treasury is 'What treasuries earned and spent, by asset.';
comment on column api_v1.treasury.treasury is 'Who received or paid.';
comment on column api_v1.treasury.asset is 'STX or the token''s contract.';
comment on column api_v1.treasury.fees is 'Base units of fees.';
comment on column api_v1.treasury.fee_count is 'Milestones that paid a fee.';
comment on column api_v1.treasury.spent is 'Base units paid out by governed actions.';
comment on column api_v1.treasury.spend_count is 'How many such payments.';
comment on column api_v1.treasury.changed_height is 'Stacks height of the block with the last change.';
comment on column api_v1.treasury.changed_index_block_hash is 'Its identity.';

create view api_v1.settings as
    select split_part(k.entity, '/', 1) as contract,
           v.state ->> 'topic' as topic,
           k.entity as entity,
           v.state -> 'value' as value,
           (v.state ->> 'burn_height')::numeric(39, 0) as burn_height,
           v.state ->> 'txid' as txid,
           v.height as changed_height,
           b.index_block_hash as changed_index_block_hash
    from projection_current k
    join projection_version v on v.id = k.version_id
    join block b on b.id = v.block_id
    where k.projection = 16;
comment on view api_v1.settings is 'What the governor and the attestors set.';
comment on column api_v1.settings.contract is 'The contract.';
comment on column api_v1.settings.topic is 'The event that set it, for instance fee-set.';
comment on column api_v1.settings.entity is 'CONTRACT/TOPIC or CONTRACT/TOPIC/KEY.';
comment on column api_v1.settings.value is 'The event''s data, numbers as text.';
comment on column api_v1.settings.burn_height is 'Bitcoin height at which it was set.';
comment on column api_v1.settings.txid is 'The transaction that set it, 0x and hexadecimal digits.';
comment on column api_v1.settings.changed_height is 'Stacks height of the block with the last change.';
comment on column api_v1.settings.changed_index_block_hash is 'Its identity.';

create view api_v1.reorgs as
    select r.generation as generation,
           r.at as at,
           r.cause as cause,
           r.ancestor as ancestor,
           r.ancestor_height as ancestor_height,
           r.old_tip as old_tip,
           r.old_tip_height as old_tip_height,
           r.new_tip as new_tip,
           r.new_tip_height as new_tip_height,
           r.depth as depth,
           r.left_final as left_final
    from reorg r;
comment on view api_v1.reorgs is 'Changes of the canonical chain that were no plain extension.';
comment on column api_v1.reorgs.generation is 'Their number.';
comment on column api_v1.reorgs.at is 'When this mirror followed it.';
comment on column api_v1.reorgs.cause is 'stacks: a block made another branch better. burn: Bitcoin left the blocks behind.';
comment on column api_v1.reorgs.ancestor is 'Identity of the last common block; null where the branches part below the mirror''s origin.';
comment on column api_v1.reorgs.ancestor_height is 'Its Stacks height.';
comment on column api_v1.reorgs.old_tip is 'Identity of the tip that was left.';
comment on column api_v1.reorgs.old_tip_height is 'Its Stacks height.';
comment on column api_v1.reorgs.new_tip is 'Identity of the tip that came.';
comment on column api_v1.reorgs.new_tip_height is 'Its Stacks height.';
comment on column api_v1.reorgs.depth is 'Blocks that ceased to be canonical.';
comment on column api_v1.reorgs.left_final is 'A block that counted as final was left.';

do $$
begin
    if exists (select from pg_roles where rolname = 'stxworx_reader') then
        grant usage on schema api_v1 to stxworx_reader;
        grant select on all tables in schema api_v1 to stxworx_reader;
    end if;
    if exists (select from pg_roles where rolname = 'stxworx_writer') then
        grant usage on schema api_v1 to stxworx_writer;
        grant select on all tables in schema api_v1 to stxworx_writer;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise notice 'grants skipped: %', sqlerrm;
end
$$;
