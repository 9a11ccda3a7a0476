-- Fees by project in period $1, which ends with height $2 if it is not closed yet. The contract rounds each fee down;
-- floor_of_sum rounds once, so that the difference is less than the number of settlements.
with member as (
    select b.seq, b.kind, b.contract, b.project,
           coalesce((select min(s.number) from period_seal s
                     where s.until_height >= b.height and s.head_count >= b.posted_seq),
                    case when b.height <= $2 then (select coalesce(max(number), 0) + 1 from period_seal)
                         else 2147483647 end) as period
    from ledger_booking b
    where b.state = 'posted' and b.contract is not null and b.project is not null
), fee as (
    select m.contract, m.project, p.account as treasury, p.asset,
           case m.kind when 'reversal' then -1 else 1 end as sign, p.amount,
           (select coalesce(sum(g.amount), 0) from posting g
            where g.seq = m.seq and g.asset = p.asset and g.part in ('payout', 'fee')
              and g.side = p.side) as gross
    from member m
    join posting p on p.seq = m.seq
    where m.period = $1 and p.part = 'fee' and p.account like 'treasury:%'
), summed as (
    select contract, project, treasury, asset, sum(sign) as settlements, sum(sign * amount) as fees,
           sum(sign * gross) as gross
    from fee
    group by contract, project, treasury, asset
)
select s.treasury as "treasury!", s.asset as "asset!", s.contract as "contract!", s.project::text as "project!",
       s.settlements as "settlements!", s.gross::text as "gross!", s.fees::text as "fees!",
       v.state ->> 'fee_bps' as fee_bps, div(s.gross * (v.state ->> 'fee_bps')::numeric, 10000)::text as floor_of_sum
from summed s
left join projection_current c on c.projection = (select id from projection where name = 'projects')
    and c.entity = s.contract || '/' || s.project
left join projection_version v on v.id = c.version_id
order by s.treasury collate "C", s.asset collate "C", s.contract collate "C", s.project
