-- For each of the holders $1 and each asset: what the books say, and what all transfers of the canonical chain come to,
-- both up to height $2.
with holder as (
    select id, name from principal where name = any($1)
), moved as (
    select h.name as holder, case when e.kind in (2, 3, 4) then 'STX' else k.name end as asset, e.amount
    from event e
    join canonical c on c.block_id = e.block_id
    join holder h on h.id = e.recipient
    left join principal k on k.id = e.contract
    where e.kind in (2, 3, 6, 7) and e.amount > 0 and ($2::integer is null or e.height <= $2)
    union all
    select h.name, case when e.kind in (2, 3, 4) then 'STX' else k.name end, -e.amount
    from event e
    join canonical c on c.block_id = e.block_id
    join holder h on h.id = e.sender
    left join principal k on k.id = e.contract
    where e.kind in (2, 4, 6, 8) and e.amount > 0 and ($2::integer is null or e.height <= $2)
    union all
    select h.name, 'STX', -t.fee
    from transaction t
    join canonical c on c.block_id = t.block_id
    join holder h on h.id = coalesce(t.sponsor, t.sender)
    where t.fee > 0 and ($2::integer is null or t.height <= $2)
), counted as (
    select holder, asset, sum(amount) as amount from moved group by holder, asset
), booked as (
    select split_part(p.account, ':', 2) as holder, p.asset,
           sum(case p.side when 'debit' then p.amount else -p.amount end) as amount
    from posting p
    join ledger_booking b on b.seq = p.seq
    where b.state <> 'void' and p.account not like 'external:%' and split_part(p.account, ':', 2) = any($1)
      and ($2::integer is null or b.height <= $2)
    group by 1, 2
)
select coalesce(b.holder, c.holder) as "holder!", coalesce(b.asset, c.asset) as "asset!",
       coalesce(b.amount, 0)::text as "booked!", coalesce(c.amount, 0)::text as "counted!"
from booked b
full join counted c on c.holder = b.holder and c.asset = b.asset
order by 1, 2
