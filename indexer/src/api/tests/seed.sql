-- Blocks 1..6 (a1..a6) are canonical. b5 and b6 leave the chain behind a4; b7 arrives with test_switch().
-- Bitcoin stands at 108, so that with six blocks of finality a1 and a2 are final.
create function h(name text) returns bytea language sql immutable as $$ select sha256(name::bytea) $$;

insert into principal values
    (1, 'ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.freelance-logic'),
    (2, 'ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.token'),
    (3, 'ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM'),
    (4, 'ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG');

insert into projection values (1, 'contract_cursor', 1), (2, 'contract_activity', 1), (3, 'transfers', 2);

insert into burn_block (hash, height, inbox_id) select h('burn' || n), n, 1 from generate_series(100, 108) n;

-- One block with two transactions and five events.
create function test_block(block_id bigint, fork text, height integer, parent text, burn integer) returns void language plpgsql as $$
declare
    name text := fork || height;
    -- The first transaction of b5 is the one of a5, with another result.
    tx text := case when name = 'b5' then 'a5' else name end;
begin
    insert into block values (block_id, h(name), h(parent), height, h('block' || name), 1700000000 + height, h('burn' || burn), burn,
        1699990000 + burn, substr(h('tenure' || burn), 1, 20), null, h('miner' || burn), burn - 90, 9, 12, h('rows' || name),
        h('digest' || name), block_id, '2026-01-02 03:04:05Z');
    insert into transaction values
        (block_id, 0, height, h('tx' || tx || '.0'), 'contract_call', case when fork = 'b' then 'abort_by_response' else 'success' end,
            3, null, 1, 18446744073709551615, 3000, 'create-project', '\x8080', '\x0703', null, null),
        (block_id, 1, height, h('tx' || name || '.1'), 'contract_call', 'success',
            4, 3, 2, height, 200, 'transfer', '\x8080', '\x0703', null, 'none');
    insert into event values
        (block_id, 0, 0, height, 1, 1, null, null, null, null, null, case when height % 2 = 0 then 'funded' else 'created' end, '\x0c00000000'),
        (block_id, 0, 1, height, 2, null, 3, 4, 340282366920938463463374607431768211455, null, null, null, '\x6d656d6f'),
        (block_id, 0, 2, height, 10, 2, null, 4, null, null, 'badge', null, '\x0100000000000000000000000000000001'),
        (block_id, 1, 0, height, 6, 2, 4, 3, 5, null, 'gold', null, null),
        (block_id, 1, 1, height, 12, null, null, null, null, null, null, null, '{"novel": [1]}');
    insert into projection_version values
        (block_id * 10, 1, block_id, height, 0, 'ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.freelance-logic',
            jsonb_build_object('seq', height::text, 'fork', fork)),
        (block_id * 10 + 1, 2, block_id, height, 4294967297, 'ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.token',
            jsonb_build_object('events', (height * 2)::text)),
        (block_id * 10 + 2, 3, block_id, height, 1, 'ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG|stx/µ', jsonb_build_object('block', name));
end $$;

create function test_canonical(wanted bigint[]) returns void language plpgsql as $$
begin
    delete from canonical;
    insert into canonical select b.height, b.id from block b where b.id = any(wanted);
    delete from projection_current;
    insert into projection_current
        select distinct on (v.projection, v.entity) v.projection, v.entity, v.id
        from projection_version v join canonical c on c.height = v.height and c.block_id = v.block_id
        order by v.projection, v.entity, v.height desc, v.position desc;
    update mirror set tip_block_id = (select block_id from canonical order by height desc limit 1);
end $$;

create function test_switch() returns void language plpgsql as $$
begin
    perform test_block(17, 'b', 7, 'b6', 107);
    perform test_canonical('{1,2,3,4,15,16,17}');
    update mirror set generation = generation + 1;
    insert into reorg select generation, '2026-01-02 03:04:05.678Z', 'stacks', h('a4'), 4, h('a6'), 6, h('b7'), 7, 2, false from mirror;
end $$;

create function test_extend() returns void language plpgsql as $$
begin
    perform test_block(7, 'a', 7, 'a6', 107);
    perform test_canonical('{1,2,3,4,5,6,7}');
end $$;

insert into mirror (network, follow, origin, inbox_watermark) values ('devnet',
    '{"mirror": "followed", "contracts": ["ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.freelance-logic",
      "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.quiet"], "principals": []}', h('a1'), 8);

select test_block(1, 'a', 1, 'a0', 100), test_block(2, 'a', 2, 'a1', 102), test_block(3, 'a', 3, 'a2', 103),
       test_block(4, 'a', 4, 'a3', 105), test_block(5, 'a', 5, 'a4', 106), test_block(6, 'a', 6, 'a5', 108),
       test_block(15, 'b', 5, 'a4', 106), test_block(16, 'b', 6, 'b5', 107);
select test_canonical('{1,2,3,4,5,6}');

insert into inbox (endpoint, state, body_bytes, sha256, index_block_hash, parent_index_block_hash, error, body) values
    (1, 1, 1, h('p1'), h('a1'), h('a0'), null, ''),
    (1, 0, 1, h('p2'), null, null, null, ''),
    (1, 3, 1, h('p3'), h('c9'), h('c8'), null, ''),
    (2, 4, 1, h('p4'), null, null, 'no such field', '');

insert into mempool_sighting values
    (h('txa6.0'), '2026-01-02 03:04:05Z', 1, null, null, null),
    (h('waiting'), '2026-01-02 03:04:05Z', 1, null, null, null),
    (h('dropped'), '2026-01-02 03:04:05Z', 1, '2026-01-02 04:04:05Z', 'ReplaceByFee', h('waiting'));
