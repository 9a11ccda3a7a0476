-- What no code path leaves behind, whatever the payloads say. One statement, so of one moment, beside a running
-- writer too. Columns: table, row, column, expected, stored; at most 20 rows a rule.
with tip as (
    select max(height) as high, min(height) as low from canonical
)
(select 'transaction' as "table!", format('block_id %s tx_index %s', t.block_id, t.tx_index) as "row!",
        'block_id' as "column!", 'a block' as "expected!", 'none' as "stored!", t.height as "height!"
 from transaction t where not exists (select from block b where b.id = t.block_id) limit 20)
union all
(select 'event', format('block_id %s tx_index %s ordinal %s', e.block_id, e.tx_index, e.ordinal), 'tx_index',
        'a transaction', 'none', e.height
 from event e where not exists (
     select from transaction t where t.block_id = e.block_id and t.tx_index = e.tx_index) limit 20)
union all
(select 'projection_version', format('projection %s entity %s position %s', v.projection, v.entity, v.position),
        'block_id', 'a block', 'none', v.height
 from projection_version v where not exists (select from block b where b.id = v.block_id) limit 20)
union all
(select 'projection_version', v.projection::text, 'projection', 'a registered projection', 'none', 0
 from (select distinct projection from projection_version) v
 where not exists (select from projection p where p.id = v.projection) limit 20)
union all
(select 'projection_current', format('%s %s', c.projection, c.entity), 'version_id',
        'a version of this entity', 'none', 0
 from projection_current c where not exists (
     select from projection_version v
     where v.id = c.version_id and v.projection = c.projection and v.entity = c.entity) limit 20)
union all
(select 'transaction', format('block_id %s tx_index %s', t.block_id, t.tx_index), c.name, 'a principal',
        c.id::text, t.height
 from transaction t
 cross join lateral (values ('sender', t.sender), ('sponsor', t.sponsor), ('contract', t.contract)) c (name, id)
 where c.id is not null and not exists (select from principal p where p.id = c.id) limit 20)
union all
(select 'event', format('block_id %s tx_index %s ordinal %s', e.block_id, e.tx_index, e.ordinal), c.name,
        'a principal', c.id::text, e.height
 from event e
 cross join lateral (values ('sender', e.sender), ('recipient', e.recipient), ('contract', e.contract)) c (name, id)
 where c.id is not null and not exists (select from principal p where p.id = c.id) limit 20)
union all
(select 'block', b.id::text, 'inbox_id', 'a payload', 'none', b.height
 from block b where not exists (select from inbox i where i.id = b.inbox_id) limit 20)
union all
(select 'block', b.id::text, 'parent', 'a stored block with a smaller number, or to be the origin',
        coalesce('number ' || p.id, 'none'), b.height
 from block b left join block p on p.index_block_hash = b.parent
 where (p.id is null or p.id >= b.id) and b.index_block_hash is distinct from (select origin from mirror) limit 20)
union all
(select 'burn_block', '0x' || encode(b.hash, 'hex'), 'inbox_id', 'a payload', 'none', b.height
 from burn_block b where not exists (select from inbox i where i.id = b.inbox_id and i.endpoint = 2) limit 20)
union all
(select 'canonical', c.height::text, 'block_id', 'a block', 'none', c.height
 from canonical c where not exists (select from block b where b.id = c.block_id) limit 20)
union all
(select 'outbox', o.id::text, 'block_id', 'a block', 'none', 0
 from outbox o where not exists (select from block b where b.id = o.block_id) limit 20)
union all
(select 'inbox_chunk', format('inbox_id %s seq %s', c.inbox_id, c.seq), 'inbox_id', 'a payload', 'none', 0
 from inbox_chunk c where not exists (select from inbox i where i.id = c.inbox_id) limit 20)
union all
(select 'mempool_sighting', '0x' || encode(m.txid, 'hex'), 'inbox_id', 'a payload of the mempool', 'none', 0
 from mempool_sighting m where not exists (select from inbox i where i.id = m.inbox_id and i.endpoint = 3) limit 20)
union all
(select 'inbox', i.id::text, 'state', 'a block that came of it', 'applied', 0
 from inbox i where i.state = 1 and i.endpoint = 1 and not exists (
     select from block b where b.index_block_hash = i.index_block_hash and b.inbox_id = i.id) limit 20)
union all
(select 'inbox', i.id::text, 'state', 'a block that came of another payload', 'duplicate', 0
 from inbox i where i.state = 2 and (i.endpoint <> 1 or not exists (
     select from block b where b.index_block_hash = i.index_block_hash and b.inbox_id <> i.id)) limit 20)
union all
(select 'inbox', i.id::text, 'state', 'no parent and no block', 'detached', 0
 from inbox i where i.state = 3 and (i.endpoint <> 1 or i.index_block_hash is null
     or i.parent_index_block_hash is null or exists (
         select from block b where b.index_block_hash in (i.index_block_hash, i.parent_index_block_hash))) limit 20)
union all
(select 'inbox', i.id::text, 'error', case when i.state = 4 then 'a reason' else 'null' end,
        coalesce(left(i.error, 100), 'null'), 0
 from inbox i where (i.state = 4) <> (i.error is not null) limit 20)
union all
(select 'inbox', i.id::text, 'state', 'kept', i.state::text, 0
 from inbox i where (i.endpoint > 4 and i.state not in (0, 5)) or (i.endpoint <= 4 and i.state = 5) limit 20)
union all
(select 'inbox', i.id::text, 'state', 'a genesis without its contents', 'superseded', 0
 from inbox i where i.state = 6 and (i.endpoint <> 1 or i.index_block_hash is distinct from $1) limit 20)
union all
(select 'inbox', i.id::text, 'state', '0 to 6', i.state::text, 0
 from inbox i where i.state not between 0 and 6 limit 20)
union all
(select 'mirror', 'sequence of inbox', 'last_value', 'at least ' || s.greatest, coalesce(s.last::text, 'null'), 0
 from (select (select max(id) from inbox) as greatest,
              pg_sequence_last_value(pg_get_serial_sequence('inbox', 'id')::regclass) as last) s
 where s.greatest > coalesce(s.last, 0))
union all
(select 'mirror', 'sequence of outbox', 'last_value', 'at least ' || s.greatest, coalesce(s.last::text, 'null'), 0
 from (select (select max(id) from outbox) as greatest,
              pg_sequence_last_value(pg_get_serial_sequence('outbox', 'id')::regclass) as last) s
 where s.greatest > coalesce(s.last, 0))
union all
(select n.name, 'numbers', 'id', 'from 1 on', n.least::text, 0
 from (values ('block', (select min(id) from block)), ('principal', (select min(id) from principal)),
              ('projection_version', (select min(id) from projection_version))) n (name, least)
 where n.least < 1)
union all
(select 'mirror', 'position', 'inbox_watermark', 'at most ' || coalesce(s.greatest, 0), m.inbox_watermark::text, 0
 from mirror m, (select max(id) as greatest from inbox) s where m.inbox_watermark > coalesce(s.greatest, 0))
union all
(select 'mirror', 'position', 'generation', 'at least ' || s.greatest, m.generation::text, 0
 from mirror m, (select max(generation) as greatest from reorg) s where m.generation < s.greatest)
union all
(select 'mirror', 'position', 'origin', 'the lowest canonical block', coalesce('0x' || encode(m.origin, 'hex'), 'null'), 0
 from mirror m, tip
 where tip.low is not null and m.origin is distinct from (
     select b.index_block_hash from canonical c join block b on b.id = c.block_id where c.height = tip.low))
union all
(select 'reorg', r.generation::text, 'depth', (r.old_tip_height - r.ancestor_height)::text, r.depth::text, 0
 from reorg r where r.ancestor is not null and r.depth <> r.old_tip_height - r.ancestor_height limit 20)
union all
(select 'reorg', r.generation::text, n.name, b.height::text, n.height::text, 0
 from reorg r
 cross join lateral (values ('ancestor_height', r.ancestor, r.ancestor_height),
     ('old_tip_height', r.old_tip, r.old_tip_height), ('new_tip_height', r.new_tip, r.new_tip_height))
     n (name, hash, height)
 join block b on b.index_block_hash = n.hash
 where b.height is distinct from n.height limit 20)
union all
(select 'reorg', r.generation::text, 'depth', o.retracted || ' blocks retracted in the outbox', r.depth::text, 0
 from reorg r
 cross join lateral (
     select count(*) as retracted from outbox o where o.generation = r.generation and o.kind = 'retracted') o
 where r.generation > (select min(generation) from outbox) and o.retracted <> r.depth limit 20)
union all
(select 'outbox', o.id::text, 'generation', 'a reorg', o.generation::text, 0
 from outbox o where o.kind = 'retracted' and not exists (
     select from reorg r where r.generation = o.generation) limit 20)
