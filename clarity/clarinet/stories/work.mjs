// Every way that a project can go.
import assert from 'node:assert/strict';
import { hash, none, u } from '../lib/values.mjs';

const parties = (w) => [w.who('client'), w.who('freelancer'), w.treasury];

export default [
  {
    name: 'a project in STX is released milestone by milestone, each unit accounted for',
    run(w) {
      const moved = w.moved(parties(w), () => {
        const id = w.active([10_000, 15_555]);
        const height = w.height;
        w.does('freelancer', 'submit', id, u(1), hash(1));
        assert.equal(w.milestone(id, 1)['review-until'], BigInt(height + 12));
        w.does('client', 'release', id, u(1), none);
        assert.deepEqual([w.milestone(id, 1).payout, w.milestone(id, 1).fee], [9_000n, 1_000n]);
        assert.equal(w.project(id).status, 1n);
        w.does('client', 'release', id, u(2), none);
        // A tenth of 15,555 is 1,555.5: the fraction stays with the freelancer.
        assert.deepEqual([w.milestone(id, 2).payout, w.milestone(id, 2).fee, w.milestone(id, 2).refund], [14_000n, 1_555n, 0n]);
        assert.deepEqual([w.project(id).status, w.project(id).paid, w.project(id).open], [2n, 25_555n, 0n]);
      });
      assert.deepEqual(moved, [-25_555n, 23_000n, 2_555n]);
      assert.equal(w.get('freelance-data', 'get-stats', w.p('freelancer')).completed, 1n);
      assert.equal(w.get('freelance-data', 'get-earned', w.p('freelancer'), none), 25_555n);
    },
  },
  {
    name: 'a project in a token moves that token and no STX',
    run(w) {
      const token = w.token('test-token');
      const before = ['client', 'freelancer'].map((role) => w.tokensOf('test-token', w.who(role)));
      const treasury = w.tokensOf('test-token', w.treasury);
      const moved = w.moved(parties(w), () => {
        const id = w.active([50_000, 33_333], { token });
        assert.equal(w.tokensOf('test-token', w.escrow), 83_333n);
        w.does('client', 'release', id, u(1), token);
        w.does('freelancer', 'submit', id, u(2), hash(1));
        w.does('client', 'release', id, u(2), token);
      });
      assert.deepEqual(moved, [0n, 0n, 0n]);
      const after = ['client', 'freelancer'].map((role) => w.tokensOf('test-token', w.who(role)));
      assert.deepEqual([after[0] - before[0], after[1] - before[1]], [-83_333n, 45_000n + 30_000n]);
      assert.equal(w.tokensOf('test-token', w.treasury) - treasury, 5_000n + 3_333n);
    },
  },
  {
    name: 'work is sent back twice at most, handed in again, and a date can move',
    run(w) {
      const id = w.submitted({ due: 5 });
      const due = w.milestone(id, 1).due;
      const height = w.height;
      w.does('client', 'reject', id, u(1), hash(3));
      // The date has almost come: rejected work has a review window from now.
      assert.deepEqual([w.milestone(id, 1).status, w.milestone(id, 1).rev], [0n, 1n]);
      assert.equal(w.milestone(id, 1).due, BigInt(height + 12));
      assert.ok(w.milestone(id, 1).due > due);
      w.does('client', 'extend-due', id, u(1), u(height + 30));
      w.does('freelancer', 'submit', id, u(1), hash(1));
      w.does('client', 'reject', id, u(1), hash(3));
      assert.equal(w.milestone(id, 1).due, BigInt(height + 30));
      w.does('freelancer', 'submit', id, u(1), hash(1));
      w.cannot(1226, 'client', 'reject', id, u(1), hash(3));
      w.does('client', 'release', id, u(1), none);
      assert.equal(w.project(id).status, 2n);
    },
  },
  {
    name: 'before acceptance either side undoes everything',
    run(w) {
      const token = w.token('test-token');
      const moved = w.moved(parties(w), () => {
        for (const [role, fn] of [['client', 'cancel-unaccepted'], ['freelancer', 'decline']]) {
          for (const asset of [none, token]) {
            const id = w.openProject([10_000, 20_000], { token: asset });
            w.does(role, fn, id, asset);
            assert.deepEqual([w.project(id).status, w.project(id).refunded, w.project(id).open], [5n, 30_000n, 0n]);
          }
        }
        // Too late to accept, never too late to undo.
        const id = w.openProject([10_000]);
        w.burn(21);
        w.cannot(1216, 'freelancer', 'accept-project', id);
        w.does('freelancer', 'decline', id, none);
      });
      assert.deepEqual(moved, [0n, 0n, 0n]);
    },
  },
  {
    name: 'silence of the client pays the freelancer, whoever asks for it',
    run(w) {
      const id = w.submitted();
      const until = Number(w.milestone(id, 1)['review-until']);
      w.burnTo(until);
      w.cannot(1215, 'keeper', 'claim-timeout', id, u(1), none);
      const moved = w.moved(parties(w), () => w.does('keeper', 'claim-timeout', id, u(1), none));
      assert.deepEqual(moved, [0n, 9_000n, 1_000n]);
      assert.equal(w.project(id).status, 2n);
    },
  },
  {
    name: 'silence of the freelancer refunds the client, without a fee',
    run(w) {
      const id = w.active([10_000], { due: 5 });
      w.burnTo(Number(w.milestone(id, 1).due) + 12);
      w.cannot(1215, 'client', 'reclaim-expired', id, u(1), none);
      const moved = w.moved(parties(w), () => w.does('client', 'reclaim-expired', id, u(1), none));
      assert.deepEqual(moved, [10_000n, 0n, 0n]);
      assert.deepEqual([w.project(id).status, w.milestone(id, 1).status], [3n, 4n]);
    },
  },
  {
    name: 'a ruling divides, and a silent arbiter means the split agreed on',
    run(w) {
      const ruled = w.disputed();
      const moved = w.moved(parties(w), () => w.does('arbiter', 'resolve', ruled, u(1), u(3_333), none));
      assert.deepEqual(moved, [6_667n, 3_000n, 333n]);
      assert.deepEqual([w.milestone(ruled, 1).status, w.project(ruled).status], [5n, 4n]);
      assert.equal(w.get('freelance-data', 'get-stats', w.p('freelancer')).lost, 1n);
      const stale = w.disputed();
      w.burnTo(Number(w.milestone(stale, 1)['resolve-until']));
      w.cannot(1215, 'freelancer', 'claim-stale-dispute', stale, u(1), none);
      w.cannot(1216, 'arbiter', 'resolve', stale, u(1), u(10_000), none);
      const split = w.moved(parties(w), () => w.does('freelancer', 'claim-stale-dispute', stale, u(1), none));
      assert.deepEqual(split, [7_500n, 2_250n, 250n]);
    },
  },
  {
    name: 'the freelancer may dispute what was sent back',
    run(w) {
      const id = w.submitted();
      w.does('client', 'reject', id, u(1), hash(3));
      w.does('freelancer', 'open-dispute', id, u(1), hash(2));
      const moved = w.moved(parties(w), () => w.does('arbiter', 'resolve', id, u(1), u(10_000), none));
      assert.deepEqual(moved, [0n, 9_000n, 1_000n]);
      assert.equal(w.get('freelance-data', 'get-stats', w.p('client')).lost, 1n);
    },
  },
  {
    name: 'the parties settle on what the other offers, and on nothing else',
    run(w) {
      const id = w.disputed();
      const until = u(w.height + 10);
      w.does('client', 'offer-settlement', id, u(1), u(1_000), until);
      w.does('client', 'withdraw-settlement', id, u(1));
      w.does('freelancer', 'offer-settlement', id, u(1), u(6_000), until);
      w.cannot(1228, 'client', 'accept-settlement', id, u(1), u(5_999), none);
      const moved = w.moved(parties(w), () => w.does('client', 'accept-settlement', id, u(1), u(6_000), none));
      assert.deepEqual(moved, [4_000n, 5_400n, 600n]);
      assert.deepEqual([w.milestone(id, 1).status, w.project(id).status], [5n, 4n]);
    },
  },
];
