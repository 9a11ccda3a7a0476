-- Holders' balances before and after period $1, which ends with height $2 if it is not closed yet.
with member as (
    select b.seq,
           coalesce((select min(s.number) from period_seal s
                     where s.until_height >= b.height and s.head_count >= b.posted_seq),
                    case when b.height <= $2 then (select coalesce(max(number), 0) + 1 from period_seal)
                         else 2147483647 end) as period
    from ledger_booking b
    where b.state = 'posted'
), held as (
    select case when p.account like 'escrow:%' then 'escrow:' || split_part(p.account, ':', 2) else p.account end as holder,
           p.asset, m.period, case p.side when 'debit' then p.amount else -p.amount end as amount
    from posting p
    join member m on m.seq = p.seq
    where p.account not like 'external:%' and m.period <= $1
)
select holder as "holder!", asset as "asset!",
       coalesce(sum(amount) filter (where period < $1), 0)::text as "opening!", sum(amount)::text as "closing!"
from held
group by holder, asset
order by holder collate "C", asset collate "C"
