// What a thief, a phisher, a careless giver or a hostile governor would try.
import assert from 'node:assert/strict';
import { source } from '../lib/project.mjs';
import { hash, no, none, principal, some, u, yes } from '../lib/values.mjs';

const MONEY = 10_000;

/** Every way out: who may, the function, its arguments before the token, and how a project gets there. */
const EXITS = [
  ['client', 'cancel-unaccepted', (id) => [id], (w, token) => w.openProject([MONEY], { token })],
  ['freelancer', 'decline', (id) => [id], (w, token) => w.openProject([MONEY], { token })],
  ['client', 'release', (id) => [id, u(1)], (w, token) => w.active([MONEY], { token })],
  ['keeper', 'claim-timeout', (id) => [id, u(1)], (w, token) => later(w, w.submitted({ token }), 'review-until')],
  ['client', 'reclaim-expired', (id) => [id, u(1)], (w, token) => {
    const id = w.active([MONEY], { token, due: 4 });
    w.burnTo(Number(w.milestone(id, 1).due) + 13);
    return id;
  }],
  ['arbiter', 'resolve', (id) => [id, u(1), u(5_000)], (w, token) => w.disputed({ token })],
  ['client', 'claim-stale-dispute', (id) => [id, u(1)], (w, token) => later(w, w.disputed({ token }), 'resolve-until')],
  ['freelancer', 'accept-settlement', (id) => [id, u(1), u(5_000)], (w, token) => {
    const id = w.active([MONEY], { token });
    w.does('client', 'offer-settlement', id, u(1), u(5_000), u(w.height + 40));
    return id;
  }],
];

function later(w, id, limit) {
  w.burnTo(Number(w.milestone(id, 1)[limit]) + 1);
  return id;
}

/** A pause has no delay: two signers, three transactions. */
function pause(w, blocks) {
  const id = w.propose('pause', { n: [w.height + blocks] });
  w.ok('signer-2', 'freelance-security', 'approve', id);
  w.ok('signer-2', 'freelance-security', 'execute', id, none);
}

function unpause(w) {
  w.governed('unpause', {});
}

export default [
  {
    name: 'a project pays in its own token and in no other',
    run(w) {
      w.deploy('deployer', 'gold', source('test-token'));
      w.tokens.push('gold');
      w.enable('gold');
      w.mint('gold', 500_000, w.who('other-client'));
      // Somebody else's gold is in the escrow; the thief's project is in a token that he mints himself.
      const victims = w.ok('other-client', 'freelance-logic', 'open-project', ...w.opening([400_000], { token: w.token('gold') }));
      const own = w.token('test-token');
      for (const [role, fn, args, ready] of EXITS) {
        const id = ready(w, own);
        for (const other of [w.token('gold'), none]) w.cannot(1224, role, fn, ...args(id), other);
        w.does(role, fn, ...args(id), own);
      }
      assert.equal(w.tokensOf('gold', w.escrow), 400_000n);
      w.does('other-client', 'cancel-unaccepted', victims, w.token('gold'));
      assert.equal(w.tokensOf('gold', w.who('other-client')), 500_000n);
    },
  },
  {
    name: 'a token that keeps a part of what it moves is found out',
    run(w) {
      const skimming = source('test-token')
        .replace('(ft-transfer? test-token amount', '(ft-transfer? test-token (if (> amount u1) (/ amount u2) amount)');
      w.deploy('deployer', 'skimmer', skimming);
      w.tokens.push('skimmer');
      w.enable('skimmer');
      w.mint('skimmer', 500_000, w.who('client'));
      w.cannot(1292, 'client', 'open-project', ...w.opening([MONEY], { token: w.token('skimmer') }));
      // And one that nobody enabled is not taken at all.
      w.deploy('stranger', 'worthless', source('test-token').replace('(impl-trait .freelance-traits.ft-trait)', ''));
      const worthless = some(principal(w.id('worthless', 'stranger')));
      w.cannot(1224, 'client', 'open-project', ...w.opening([MONEY], { token: worthless }));
    },
  },
  {
    name: "a token's code cannot act for the escrow or the treasury",
    run(w) {
      // It passes the trial, and is armed later: then it grabs what it can of whoever it may act for.
      const grabbing = `(define-data-var armed bool false)
        (define-public (arm) (ok (var-set armed true)))
        ${source('test-token').replace('(match memo m (print m) 0x)', `(if (and (var-get armed) (is-eq sender '${w.escrow}))
          (unwrap! (stx-transfer? u1000 tx-sender '${w.who('stranger')}) (err u1)) true)`)}`;
      w.deploy('deployer', 'grabber', grabbing);
      w.tokens.push('grabber');
      w.enable('grabber');
      w.mint('grabber', 500_000, w.who('client'));
      const victims = w.openProject([MONEY]);
      const id = w.active([MONEY], { token: w.token('grabber') });
      w.ok('stranger', 'grabber', 'arm');
      const whose = [w.who('stranger'), w.who('client'), w.escrow, w.treasury];
      const grabbed = w.moved(whose, () => w.does('client', 'release', id, u(1), w.token('grabber')));
      // Twice a thousand of the client, who signed and chose that token; nothing of the others.
      assert.deepEqual(grabbed, [2_000n, -2_000n, 0n, 0n]);
      w.does('client', 'cancel-unaccepted', victims, none);
    },
  },
  {
    name: "a stranger's contract cannot act for who calls it",
    run(w) {
      const id = w.active([MONEY]);
      const action = w.propose('unpause');
      const lure = `
        (define-public (gift) (contract-call? '${w.escrow} release u${id.value} u1 none))
        (define-public (vote) (contract-call? '${w.treasury} approve u${action.value}))
        (define-public (fee) (contract-call? '${w.escrow} set-fee u0))
        (define-public (name) (contract-call? '${w.id('freelance-data')} set-profile "stolen" 0x${'00'.repeat(32)}))`;
      w.deploy('stranger', 'lure', lure);
      const contract = w.id('lure', 'stranger');
      w.roles.set('lure', contract);
      w.fails(1201, 'client', contract, 'gift');
      w.fails(1500, 'signer-2', contract, 'vote');
      w.fails(1200, 'signer-2', contract, 'fee');
      // What is done is done in the name of the contract, not of the caller.
      w.ok('client', contract, 'name');
      assert.equal(w.get('freelance-data', 'get-profile', w.p('client')), null);
      assert.equal(w.get('freelance-data', 'get-profile', w.p('lure')).handle, 'stolen');
      w.does('client', 'release', id, u(1), none);
    },
  },
  {
    name: 'a pause closes no way out but the ruling, and lapses by itself',
    run(w) {
      for (const [role, fn, args, ready] of EXITS) {
        const token = w.token('test-token');
        const id = ready(w, token);
        pause(w, 900);
        w.cannot(1214, 'client', 'open-project', ...w.opening([MONEY]));
        if (fn === 'resolve') {
          // The arbiter waits. The parties have a way of their own, when the time for a ruling is over.
          w.cannot(1214, role, fn, ...args(id), token);
          later(w, id, 'resolve-until');
          w.does('freelancer', 'claim-stale-dispute', id, u(1), token);
        } else {
          w.does(role, fn, ...args(id), token);
        }
        unpause(w);
      }
      pause(w, 100);
      const until = Number(w.get('freelance-logic', 'get-config')['paused-until']);
      w.burnTo(until);
      w.cannot(1214, 'client', 'open-project', ...w.opening([MONEY]));
      const id = w.openProject([MONEY]);
      w.does('client', 'cancel-unaccepted', id, none);
      w.refused(1229, 'pause', { n: [w.height + 148 + 1_009] });
    },
  },
  {
    name: 'gifts block nobody',
    run(w) {
      const token = w.token('test-token');
      const id = w.active([MONEY], { token });
      w.gifts.set('test-token', 77n);
      w.ok('client', 'test-token', 'transfer', u(77), w.p('client'), principal(w.escrow), none);
      w.does('client', 'release', id, u(1), token);
      const next = w.active([MONEY], { token });
      w.does('client', 'release', next, u(1), token);
      assert.equal(w.tokensOf('test-token', w.escrow), 77n);
    },
  },
  {
    name: 'no single key owns anything',
    run(w) {
      for (const role of ['deployer', 'signer-1']) {
        w.cannot(1200, role, 'set-fee', u(0));
        w.cannot(1200, role, 'set-treasury', w.p(role));
        w.cannot(1200, role, 'set-arbiter', w.p(role));
        w.cannot(1200, role, 'set-asset', none, no, u(1_000), u(6), w.p(role), none);
        w.cannot(1200, role, 'set-params', u(6), u(6), u(6), u(6));
        w.cannot(1200, role, 'set-paused', yes, u(w.height + 5));
        w.fails(1100, role, 'freelance-data', 'set-writer', w.p(role), yes);
        w.fails(1300, role, 'freelance-badges', 'set-minter', w.p(role), yes);
        w.fails(1300, role, 'freelance-badges', 'revoke', u(1), hash(1));
      }
    },
  },
];
