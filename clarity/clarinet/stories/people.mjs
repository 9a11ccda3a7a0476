// Profiles, ratings, attestations, anchors and badges.
import assert from 'node:assert/strict';
import { ascii, hash, none, principal, u, yes } from '../lib/values.mjs';

const DATA = 'freelance-data';
const BADGES = 'freelance-badges';

export default [
  {
    name: 'handles are unique, and a new one frees the old',
    run(w) {
      w.ok('freelancer', DATA, 'set-profile', ascii('ada'), hash(1));
      w.fails(1104, 'stranger', DATA, 'set-profile', ascii('ada'), hash(2));
      w.fails(1103, 'stranger', DATA, 'set-profile', ascii('ab'), hash(2));
      w.ok('freelancer', DATA, 'set-profile', ascii('ada-2'), hash(1));
      assert.equal(w.get(DATA, 'get-handle', ascii('ada')), null);
      w.ok('stranger', DATA, 'set-profile', ascii('ada'), hash(2));
      assert.equal(w.get(DATA, 'get-handle', ascii('ada')), w.who('stranger'));
    },
  },
  {
    name: 'an X account has one owner at a time',
    run(w) {
      const later = u(w.height + 30);
      w.fails(1102, 'stranger', DATA, 'attest-x', w.p('stranger'), hash(5), later);
      w.fails(1105, 'attestor', DATA, 'attest-x', w.p('freelancer'), hash(5), u(w.height));
      w.ok('attestor', DATA, 'attest-x', w.p('freelancer'), hash(5), later);
      w.fails(1104, 'attestor', DATA, 'attest-x', w.p('stranger'), hash(5), later);
      // Expired, it is free for the next.
      w.burn(32);
      w.ok('attestor', DATA, 'attest-x', w.p('stranger'), hash(5), u(w.height + 30));
      assert.deepEqual(['freelancer', 'stranger'].map((role) => w.get(DATA, 'x-valid?', w.p(role))), [false, true]);
      w.ok('attestor', DATA, 'revoke-x', w.p('stranger'));
      w.fails(1106, 'attestor', DATA, 'revoke-x', w.p('stranger'));
    },
  },
  {
    name: 'the parties of a closed project rate each other once',
    run(w) {
      const logic = principal(w.escrow);
      const id = w.active([10_000]);
      w.fails(1107, 'client', DATA, 'rate', logic, id, u(5), hash(6));
      w.does('client', 'release', id, u(1), none);
      w.fails(1108, 'stranger', DATA, 'rate', logic, id, u(5), hash(6));
      w.fails(1109, 'client', DATA, 'rate', logic, id, u(6), hash(6));
      w.ok('client', DATA, 'rate', logic, id, u(5), hash(6));
      w.fails(1110, 'client', DATA, 'rate', logic, id, u(5), hash(6));
      w.ok('freelancer', DATA, 'rate', logic, id, u(4), hash(6));
      const rating = (role) => w.get(DATA, 'get-stats', w.p(role));
      assert.deepEqual([rating('freelancer')['rating-sum'], rating('client')['rating-sum']], [5n, 4n]);
    },
  },
  {
    name: 'the root of a leaderboard is final',
    run(w) {
      const anchor = (from, to) => [u(1), ascii('earnings'), hash(9), u(3), ascii('sha256'), u(from), u(to)];
      w.fails(1112, 'attestor', DATA, 'publish-leaderboard', ...anchor(2, 1));
      w.fails(1112, 'attestor', DATA, 'publish-leaderboard', ...anchor(1, w.height + 10));
      w.ok('attestor', DATA, 'publish-leaderboard', ...anchor(w.height - 5, w.height));
      w.fails(1111, 'attestor', DATA, 'publish-leaderboard', ...anchor(w.height - 5, w.height));
      assert.equal(w.get(DATA, 'get-root', u(1), ascii('earnings')).count, 3n);
    },
  },
  {
    name: 'badges are minted, claimed, never sold, revoked and migrated',
    run(w) {
      for (const [role, account] of [['freelancer', 6], ['stranger', 7]]) {
        w.ok('attestor', DATA, 'attest-x', w.p(role), hash(account), u(w.height + 5_000));
      }
      w.fails(1301, 'stranger', BADGES, 'mint', w.p('stranger'), u(5));
      w.fails(1302, 'stranger', BADGES, 'claim', u(99));
      w.fails(1304, 'stranger', BADGES, 'claim', u(1));
      const minted = w.ok('minter', BADGES, 'mint', w.p('freelancer'), u(5));
      const claimed = w.ok('stranger', BADGES, 'claim', u(5));
      assert.deepEqual([minted, claimed], [u(1), u(2)]);
      w.fails(1305, 'stranger', BADGES, 'claim', u(5));
      w.fails(1303, 'freelancer', BADGES, 'transfer', u(1), w.p('freelancer'), w.p('stranger'));
      assert.equal(w.get(BADGES, 'get-owner', u(1)), w.who('freelancer'));
      w.governed('migrate-badge', { n: [1], p1: w.who('client') });
      assert.equal(w.get(BADGES, 'get-owner', u(1)), w.who('client'));
      w.fails(1306, 'minter', BADGES, 'mint', w.p('freelancer'), u(5));
      w.governed('revoke-badge', { n: [2] });
      assert.equal(w.get(BADGES, 'get-owner', u(2)), null);
      w.fails(1306, 'stranger', BADGES, 'claim', u(5));
      assert.equal(w.get(BADGES, 'get-last-token-id'), 2n);
    },
  },
  {
    name: 'a kind of badge that asks for deeds is earned by them',
    run(w) {
      w.governed('set-kind', { n: [6, 2, 450], s: 'mentor' });
      const stats = w.get(DATA, 'get-stats', w.p('freelancer'));
      assert.ok(stats.completed >= 2n && stats['rating-sum'] * 100n >= 450n * stats['rating-count']);
      w.ok('freelancer', BADGES, 'claim', u(6));
      w.fails(1304, 'client', BADGES, 'claim', u(6));
      w.governed('set-uri', { s: 'ipfs://new/{id}.json' });
      assert.equal(w.get(BADGES, 'get-token-uri', u(3)), 'ipfs://new/{id}.json');
    },
  },
  {
    name: 'statistics come from writers alone, and a silenced writer holds no money back',
    run(w) {
      w.fails(1101, 'stranger', DATA, 'record-dispute', w.p('client'), w.p('freelancer'), u(1), u(1));
      w.governed('set-writer', { p1: w.escrow, b: false });
      const before = w.get(DATA, 'get-earned', w.p('freelancer'), none);
      const id = w.disputed();
      const moved = w.moved([w.who('freelancer')], () => w.does('arbiter', 'resolve', id, u(1), u(5_000), none));
      assert.deepEqual(moved, [4_500n]);
      assert.equal(w.get(DATA, 'get-earned', w.p('freelancer'), none), before);
      assert.equal(w.milestone(id, 1).payout, 4_500n);
      w.governed('set-writer', { p1: w.escrow, b: true });
      // Another writer is believed, but for sums that could stop the next payment.
      w.governed('set-writer', { p1: w.who('keeper'), b: true });
      const paid = (gross) => [w.p('freelancer'), w.p('client'), none, u(gross), u(1), u(1), ascii('release'), none, none];
      w.fails(1114, 'keeper', DATA, 'record-paid', ...paid(10n ** 18n + 1n));
      w.ok('keeper', DATA, 'record-paid', ...paid(10n ** 18n));
      w.governed('set-writer', { p1: w.who('keeper'), b: false });
      w.governed('set-category', { n: [7], s: 'design', b: true });
      assert.equal(w.get(DATA, 'get-category', u(7)).name, 'design');
      assert.equal(w.read(DATA, 'writer?', principal(w.escrow)).type, yes.type);
    },
  },
];
