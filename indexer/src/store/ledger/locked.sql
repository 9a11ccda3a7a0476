-- Each project's account, and what the projection says is locked. A project that the mirror knows only from its middle on
-- has no deposit on either side, and is left out.
with project as (
    select v.state ->> 'contract' as contract, v.state ->> 'id' as project,
           coalesce((v.state ->> 'partial')::boolean, false) as partial,
           (v.state ->> 'total')::numeric - (v.state ->> 'paid')::numeric - (v.state ->> 'fees')::numeric
               - (v.state ->> 'refunded')::numeric as locked
    from projection_current c
    join projection_version v on v.id = c.version_id
    where c.projection = (select id from projection where name = 'projects')
), booked as (
    select split_part(p.account, ':', 2) as contract, split_part(p.account, ':', 3) as project,
           sum(case p.side when 'debit' then p.amount else -p.amount end) as amount
    from posting p
    join ledger_booking b on b.seq = p.seq
    where b.state <> 'void' and p.account like 'escrow:%' and p.account not like '%:unattributed'
    group by 1, 2
)
select coalesce(k.contract, b.contract) as "contract!", coalesce(k.project, b.project) as "project!",
       coalesce(b.amount, 0)::text as "booked!", coalesce(k.locked, 0)::text as "locked!"
from project k
full join booked b on b.contract = k.contract and b.project = k.project
where not coalesce(k.partial, false)
order by 1, 2
