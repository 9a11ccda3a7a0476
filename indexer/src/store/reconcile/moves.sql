-- Transfers in the transactions $1 to or from the treasuries $2, at the blocks $3 of a fork or canonical up to height $4.
with treasury as materialized (select id from principal where name = any($2))
select '0x' || encode(t.txid, 'hex') as "txid!", e.ordinal, s.name as "sender?", r.name as "recipient?",
       case when e.kind = 2 then 'STX' else k.name end as asset, e.amount::text as amount,
       exists (select from projection_version v
               where v.block_id = t.block_id and v.projection = 17 and (v.position >> 32) = t.tx_index) as "owed!"
from transaction t
left join canonical c on c.block_id = t.block_id
join event e on e.block_id = t.block_id and e.tx_index = t.tx_index and e.kind in (2, 6)
left join principal s on s.id = e.sender
left join principal r on r.id = e.recipient
left join principal k on k.id = e.contract
where t.txid = any($1) and (t.block_id = any($3) or (c.block_id is not null and t.height <= $4))
  and (e.sender in (select id from treasury) or e.recipient in (select id from treasury))
order by t.txid, e.ordinal
