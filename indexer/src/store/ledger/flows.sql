-- What moved on holders' accounts in period $1, which ends with height $2 if it is not closed yet.
with member as (
    select b.seq, b.kind,
           coalesce((select min(s.number) from period_seal s
                     where s.until_height >= b.height and s.head_count >= b.posted_seq),
                    case when b.height <= $2 then (select coalesce(max(number), 0) + 1 from period_seal)
                         else 2147483647 end) as period
    from ledger_booking b
    where b.state = 'posted'
), held as (
    select case when p.account like 'escrow:%' then 'escrow:' || split_part(p.account, ':', 2) else p.account end as holder,
           p.asset, case m.kind when 'reversal' then 'reversed_' else '' end || p.part as part, p.side, p.amount
    from posting p
    join member m on m.seq = p.seq
    where p.account not like 'external:%' and m.period = $1
)
select holder as "holder!", asset as "asset!", part as "part!",
       coalesce(sum(amount) filter (where side = 'debit'), 0)::text as "came!",
       coalesce(sum(amount) filter (where side = 'credit'), 0)::text as "went!",
       count(*) as "lines!"
from held
group by holder, asset, part
order by holder collate "C", asset collate "C", part collate "C"
