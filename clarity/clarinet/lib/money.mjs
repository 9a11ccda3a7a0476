// Where the money is, as the machine itself says, and that all of it is where it should be.
import assert from 'node:assert/strict';
import { Cl } from '@stacks/transactions';
import { none, plain, principal, some, tuple, u } from './values.mjs';

/** Micro-STX of an address. */
export function stx(w, who) {
  return plain(Cl.deserialize(w.sdk.runSnippet(`(stx-get-balance '${who})`)));
}

/** Base units of a token. */
export function tokens(w, name, who) {
  return w.get(name, 'get-balance', principal(who));
}

const holders = (w) => [...new Set(w.roles.values()), w.escrow, w.treasury];

/** What is not settled, per asset (null is STX), by the milestones themselves. */
export function open(w) {
  const sums = new Map();
  for (let p = 1n; p <= w.count('freelance-logic', 'last-project'); p += 1n) {
    const project = w.entry('freelance-logic', 'projects', u(p));
    if (project.status > 1n) continue;
    for (let m = 1n; ; m += 1n) {
      const milestone = w.entry('freelance-logic', 'milestones', tuple({ p: u(p), m: u(m) }));
      if (!milestone) break;
      if (milestone.status <= 2n) sums.set(project.asset, (sums.get(project.asset) ?? 0n) + milestone.amount);
    }
  }
  return sums;
}

/** No STX appears or vanishes, and the escrow counts what is open in it, and holds that much STX, exactly. */
export function check(w, what) {
  const sum = holders(w).reduce((total, who) => total + stx(w, who), 0n);
  assert.equal(sum, w.supply, `${what}: STX of everybody together`);
  const due = open(w);
  for (const name of [null, ...w.tokens]) {
    const asset = name ? w.id(name) : null;
    const counted = w.entry('freelance-logic', 'locked', asset ? some(principal(asset)) : none) ?? 0n;
    assert.equal(counted, due.get(asset) ?? 0n, `${what}: ${name ?? 'STX'} counted as locked`);
  }
  assert.equal(stx(w, w.escrow), due.get(null) ?? 0n, `${what}: STX in the escrow`);
}

/** The same for tokens, where supply is what was minted and gifts may lie in the escrow. After what moved some only. */
export function checkTokens(w, what) {
  const due = open(w);
  for (const name of w.tokens) {
    const sum = holders(w).reduce((total, who) => total + tokens(w, name, who), 0n);
    assert.equal(sum, w.get(name, 'get-total-supply'), `${what}: ${name} of everybody together`);
    assert.equal(sum, w.minted.get(name) ?? 0n, `${what}: ${name} minted`);
    const expected = (due.get(w.id(name)) ?? 0n) + (w.gifts.get(name) ?? 0n);
    assert.equal(tokens(w, name, w.escrow), expected, `${what}: ${name} in the escrow`);
  }
}
