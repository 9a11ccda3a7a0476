// What the four contracts keep, read without their help: each variable, and each map at every key that the running
// story can have touched. `check` makes sure that no variable and no map is left out.
import assert from 'node:assert/strict';
import { serializeCVBytes } from '@stacks/transactions';
import { KINDS } from './project.mjs';
import { NONE } from './raw.mjs';
import { ascii, hash, none, principal, some, tuple, u } from './values.mjs';

const range = (from, to) => Array.from({ length: Number(to) - from + 1 }, (_, at) => from + at);
const pairs = (left, right, make) => left.flatMap((l) => right.map((r) => make(l, r)));

/** The most milestones of a project in the stories. */
const MILESTONES = 3;
/** The first bytes of the hashes that stand for X accounts. */
const X_ACCOUNTS = [5, 6, 7];
const HANDLES = ['ada', 'ada-2', 'bob', 'stolen'];

/** The newest projects and actions, which is where things happen: no story goes back further than it is long. */
const RECENT = 10;

const people = (w) => [...w.roles.keys()].map((role) => principal(w.who(role))).concat(principal(w.escrow));
const assets = (w) => [none, ...w.tokens.map((name) => some(principal(w.id(name))))];
const recent = (w, contract, counter) => {
  const last = Number(w.count(contract, counter));
  // One more than there are: what a refused call wrote must be gone.
  return range(Math.max(1, last - RECENT), last + 1);
};
const projects = (w) => recent(w, 'freelance-logic', 'last-project');
const milestones = (w) => pairs(projects(w), range(1, MILESTONES), (p, m) => tuple({ p: u(p), m: u(m) }));
const closed = (w) => projects(w).map((p) => ({ writer: principal(w.escrow), project: u(p) }));
const actions = (w) => recent(w, 'freelance-security', 'last-action');
const votes = (w) => pairs(actions(w), w.signers, (id, role) => tuple({ id: u(id), who: w.p(role) }));
const holdings = (w) => pairs(people(w), [1, 5, 6], (user, kind) => tuple({ user, kind: u(kind) }));

/** Per contract and map, the keys to look at in a world. */
const KEYS = {
  'freelance-logic': {
    projects: (w) => projects(w).map((p) => u(p)),
    milestones,
    offers: milestones,
    assets,
    locked: assets,
  },
  'freelance-data': {
    writers: people,
    attestors: people,
    categories: () => [u(7)],
    profiles: people,
    handles: () => HANDLES.map((handle) => ascii(handle)),
    'x-accounts': people,
    'x-owners': () => X_ACCOUNTS.map((n) => hash(n)),
    stats: people,
    earned: (w) => pairs(people(w), assets(w), (user, asset) => tuple({ user, asset })),
    closed: (w) => closed(w).map((key) => tuple(key)),
    ratings: (w) => pairs(closed(w), ['client', 'freelancer'], (key, role) => tuple({ ...key, from: w.p(role) })),
    anchors: () => [tuple({ epoch: u(1), board: ascii('earnings') })],
  },
  'freelance-badges': {
    minters: people,
    kinds: () => range(1, 6).map((kind) => u(kind)),
    badges: (w) => recent(w, 'freelance-badges', 'last-id').map((id) => u(id)),
    owned: holdings,
    barred: holdings,
  },
  'freelance-security': {
    signers: people,
    kinds: () => KINDS.map((kind) => ascii(kind)),
    actions: (w) => actions(w).map((id) => u(id)),
    approved: votes,
    rejected: votes,
    budgets: assets,
  },
};

/** The contracts that tell of what they do. */
export const TELLING = Object.keys(KEYS);

const variables = (contract) => contract.variables.filter((v) => v.access === 'variable').map((v) => v.name);

/** That what is read here is all that there is. */
export function check(w) {
  const interfaces = w.sdk.getContractsInterfaces();
  for (const name of TELLING) {
    const contract = interfaces.get(w.id(name));
    assert.deepEqual(contract.maps.map((m) => m.name).sort(), Object.keys(KEYS[name]).sort(), `maps of ${name}`);
    w.variables.set(name, variables(contract));
  }
}

/** The counter that says which keys of a map are recent. */
const COUNTERS = new Map([
  ...['projects', 'milestones', 'offers', 'closed', 'ratings'].map((map) => [map, ['freelance-logic', 'last-project']]),
  ...['actions', 'approved', 'rejected'].map((map) => [map, ['freelance-security', 'last-action']]),
  ['badges', ['freelance-badges', 'last-id']],
]);

/** Keys in bytes, made once for each set of people and tokens and each counter: encoding addresses is slow. */
const made = new Map();
function keysOf(w, name, map) {
  const counter = COUNTERS.get(map);
  const id = [name, map, w.roles.size, w.tokens.length, counter ? w.raw.variable(...counter) : ''].join();
  if (!made.has(id)) {
    made.set(id, KEYS[name][map](w).map((key) => {
      const bytes = serializeCVBytes(key);
      return [`${map} ${Buffer.from(bytes).toString('hex')}`, bytes];
    }));
  }
  return made.get(id);
}

/** What a contract keeps, its place in the chain of events included, as a map of text to text. */
export function kept(w, name) {
  const state = new Map();
  for (const variable of w.variables.get(name)) state.set(variable, w.raw.variable(name, variable));
  for (const map of Object.keys(KEYS[name])) {
    for (const [label, bytes] of keysOf(w, name, map)) state.set(label, w.raw.entry(name, map, bytes));
  }
  return state;
}

/** Whether two readings differ, where the later one looks. What is read for the first time was nothing before. */
export function differ(before, after) {
  return [...after].some(([label, value]) => (before.get(label) ?? NONE) !== value);
}
