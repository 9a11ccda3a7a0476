// The multisig, and each kind of action that it carries out.
import assert from 'node:assert/strict';
import { KINDS } from '../lib/project.mjs';
import { ascii, none, principal, some, u } from '../lib/values.mjs';

const SECURITY = 'freelance-security';
const config = (w) => w.get('freelance-logic', 'get-config');

export default [
  {
    name: 'approvals can be taken back, actions rejected, cancelled and too old',
    run(w) {
      w.fails(1500, 'stranger', SECURITY, 'propose', ascii('unpause'), w.action({}));
      w.fails(1501, 'signer-1', SECURITY, 'propose', ascii('nonsense'), w.action({}));
      w.fails(1502, 'signer-1', SECURITY, 'approve', u(999));
      const id = w.propose('unpause');
      w.fails(1504, 'signer-1', SECURITY, 'approve', id);
      w.fails(1505, 'signer-2', SECURITY, 'revoke-approval', id);
      w.ok('signer-2', SECURITY, 'approve', id);
      w.fails(1509, 'signer-2', SECURITY, 'execute', id, none);
      w.ok('signer-2', SECURITY, 'revoke-approval', id);
      w.burn(30);
      w.fails(1508, 'signer-1', SECURITY, 'execute', id, none);
      for (const role of ['signer-3', 'signer-4', 'signer-5']) w.ok(role, SECURITY, 'reject', id);
      w.fails(1503, 'signer-2', SECURITY, 'approve', id);
      const mine = w.propose('unpause');
      w.fails(1507, 'signer-2', SECURITY, 'cancel', mine);
      w.ok('signer-1', SECURITY, 'cancel', mine);
      const old = w.propose('unpause');
      w.ok('signer-2', SECURITY, 'approve', old);
      w.burn(24 + 2_016);
      w.fails(1503, 'signer-1', SECURITY, 'execute', old, none);
    },
  },
  {
    name: 'a critical action needs three signers and a day',
    run(w) {
      const id = w.propose('set-fee', { n: [250] });
      w.ok('signer-2', SECURITY, 'approve', id);
      w.fails(1508, 'signer-1', SECURITY, 'execute', id, none);
      w.ok('signer-3', SECURITY, 'approve', id);
      w.burnTo(Number(w.get(SECURITY, 'get-action', id).eta) - 1);
      w.fails(1509, 'signer-1', SECURITY, 'execute', id, none);
      const open = w.active([10_000]);
      w.ok('signer-1', SECURITY, 'execute', id, none);
      assert.equal(config(w)['fee-bps'], 250n);
      // What is open keeps the terms that it was opened with.
      w.does('client', 'release', open, u(1), none);
      assert.equal(w.milestone(open, 1).fee, 1_000n);
      const next = w.active([10_000]);
      w.does('client', 'release', next, u(1), none);
      assert.equal(w.milestone(next, 1).fee, 250n);
      w.refused(1229, 'set-fee', { n: [1_001] });
      w.governed('set-fee', { n: [1_000] });
    },
  },
  {
    name: 'the treasury pays within its budget and period',
    run(w) {
      const token = w.id('test-token');
      const spend = (amount, more) => ({ p1: w.who('keeper'), n: [amount], ...more });
      w.refused(1512, 'spend', spend(1));
      w.governed('set-budget', { n: [9_000, 400] });
      assert.deepEqual(w.moved([w.who('keeper'), w.treasury], () => w.governed('spend', spend(5_000))), [5_000n, -5_000n]);
      w.refused(1512, 'spend', spend(5_000));
      // The next period has begun.
      w.burn(400);
      w.governed('spend', spend(5_000));
      w.refused(1510, 'set-budget', { n: [9_000, 0] });
      w.governed('set-budget', { p1: token, n: [500, 100] });
      const before = w.tokensOf('test-token', w.who('keeper'));
      w.refused(1510, 'spend', spend(200, { p2: token }));
      w.governed('spend', spend(200, { p2: token }), w.token('test-token'));
      assert.equal(w.tokensOf('test-token', w.who('keeper')) - before, 200n);
      w.governed('set-budget', { n: [1_000_000_000_000, 400] });
      w.refused(1590, 'spend', spend(1_000_000_000_000));
    },
  },
  {
    name: 'treasury, arbiter, windows and assets change, within limits',
    run(w) {
      w.governed('set-treasury', { p1: w.who('keeper') });
      const id = w.active([10_000]);
      assert.deepEqual(w.moved([w.who('keeper')], () => w.does('client', 'release', id, u(1), none)), [1_000n]);
      w.governed('set-treasury', { p1: w.treasury });
      for (const kind of ['set-treasury', 'set-arbiter']) w.refused(1229, kind, { p1: w.escrow });
      w.refused(1510, 'set-treasury', {});
      w.refused(1229, 'set-params', { n: [5, 6, 6, 6] });
      w.refused(1229, 'set-asset', { n: [999, 6] });
      w.governed('disable-asset', { p1: w.id('test-token') });
      assert.equal(w.get('freelance-logic', 'get-asset', w.token('test-token')).enabled, false);
      w.cannot(1224, 'client', 'open-project', ...w.opening([10_000], { token: w.token('test-token') }));
      // What is switched on is tried, with a base unit of the one who executes.
      w.refused(1224, 'set-asset', { p1: w.id('test-token'), b: true, n: [1_000, 8] });
      w.governed('set-asset', { p1: w.id('test-token'), b: true, n: [1_000_000_000, 8] }, w.token('test-token'));
      w.refused(1113, 'set-attestor', { p1: w.who('attestor'), b: true });
      w.refused(1309, 'set-minter', { p1: w.who('minter'), b: true });
    },
  },
  {
    name: 'where the multisig is the arbiter, it rules',
    run(w) {
      const id = w.disputed({ arbiter: some(principal(w.treasury)) });
      const ruling = { n: [Number(id.value), 1, 5_000] };
      assert.deepEqual(w.moved([w.who('client')], () => w.governed('resolve', ruling)), [5_000n]);
      const other = w.disputed();
      w.refused(1204, 'resolve', { n: [Number(other.value), 1, 5_000] });
      w.does('arbiter', 'resolve', other, u(1), u(0), none);
    },
  },
  {
    name: 'a swapped signer ends every pending action',
    run(w) {
      const pending = w.propose('unpause');
      w.refused(1511, 'swap-signer', { p1: w.who('stranger'), p2: w.who('client') });
      w.governed('swap-signer', { p1: w.who('signer-5'), p2: w.who('keeper') });
      w.fails(1503, 'signer-2', SECURITY, 'approve', pending);
      w.fails(1500, 'signer-5', SECURITY, 'propose', ascii('unpause'), w.action({}));
      w.ok('keeper', SECURITY, 'propose', ascii('unpause'), w.action({}));
      w.governed('swap-signer', { p1: w.who('keeper'), p2: w.who('signer-5') });
      assert.equal(w.get(SECURITY, 'get-epoch'), 3n);
    },
  },
  {
    name: 'each kind of action is known, and ran',
    run(w) {
      const ran = new Set();
      for (let id = 1n; id <= w.count(SECURITY, 'last-action'); id += 1n) {
        const { kind, status } = w.get(SECURITY, 'get-action', u(id));
        if (status === 1n) ran.add(kind);
      }
      assert.deepEqual([...ran].sort(), [...KINDS].sort());
    },
  },
];
