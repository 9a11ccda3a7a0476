// A simnet with the contracts on it. Every transaction goes through `transact`, which checks afterwards what must hold
// after any: prints, their chain, the cursors, and the money.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Cl, serializeCVBytes } from '@stacks/transactions';
import { check as checkMoney, checkTokens, stx, tokens } from './money.mjs';
import { ACCOUNTS, CONTRACTS, SIGNERS, source } from './project.mjs';
import { Raw } from './raw.mjs';
import { TELLING, check, differ, kept } from './state.mjs';
import { ascii, hash, list, none, plain, principal, some, text, tuple, u } from './values.mjs';

// The SDK writes every print to the console: thousands of lines that say nothing about the outcome.
console.log = () => {};
const { getSDK } = await import('@stacks/clarinet-sdk');

const sha256 = (hex) => createHash('sha256').update(Buffer.from(hex.replace(/^0x/, ''), 'hex')).digest('hex');
const ZERO = '00'.repeat(32);
/** No clock, no chance: each world begins at this burn height, whatever the epoch. */
const START = 10;
const FORTUNE = 100_000_000_000_000n;

export class World {
  /** The contracts, deployed as this version in this epoch; `sourceOf` can give others than the committed ones. */
  static async of({ clarity, epoch }, sourceOf = source) {
    const w = new World();
    w.sdk = await getSDK({ trackCosts: false, trackCoverage: false });
    await w.sdk.initEmptySession({ enabled: false });
    w.sdk.setEpoch(epoch);
    w.raw = new Raw(w);
    w.clarity = clarity;
    w.roles = new Map([...ACCOUNTS, ...SIGNERS.map((address, at) => [`signer-${at + 1}`, address])]);
    w.signers = SIGNERS.map((_, at) => `signer-${at + 1}`);
    w.tokens = ['test-token'];
    w.minted = new Map();
    /** What was sent to the escrow unasked, per token. */
    w.gifts = new Map();
    w.variables = new Map();
    /** Per contract: where its chain of events is. */
    w.chains = new Map(TELLING.map((name) => [name, { seq: 0n, head: ZERO }]));
    /** Everything that came out of this world, to be compared with what comes out of another. */
    w.transcript = [];
    w.topics = new Set();
    w.transactions = 0;
    for (const address of ACCOUNTS.values()) w.sdk.mintSTX(address, FORTUNE);
    w.supply = FORTUNE * BigInt(ACCOUNTS.size);
    w.burnTo(START);
    for (const name of CONTRACTS) w.deploy('deployer', name, sourceOf(name));
    check(w);
    w.before = new Map(TELLING.map((name) => [name, kept(w, name)]));
    for (const name of TELLING) w.checkCursor(name);
    return w;
  }

  who(role) {
    return this.roles.get(role) ?? assert.fail(`nobody is ${role}`);
  }

  /** Somebody, as a value. */
  p(role) {
    return principal(this.who(role));
  }

  id(name, by = 'deployer') {
    return `${this.who(by)}.${name}`;
  }

  token(name) {
    return some(principal(this.id(name)));
  }

  get escrow() {
    return this.id('freelance-logic');
  }

  get treasury() {
    return this.id('freelance-security');
  }

  // ---- time

  get height() {
    return this.sdk.burnBlockHeight;
  }

  burnTo(height) {
    if (height > this.height) this.sdk.mineEmptyBurnBlocks(height - this.height);
    assert.equal(this.height, height, 'time goes forward');
  }

  burn(blocks) {
    this.burnTo(this.height + blocks);
  }

  // ---- transactions

  /** Runs one, in a burn block of its own in every epoch: before 3.0 each block has one anyway. */
  transact(what, height, run) {
    let outcome;
    try {
      outcome = run();
    } catch (error) {
      assert.fail(`${what}: ${error}`);
    }
    if (this.height === height) this.sdk.mineEmptyBurnBlock();
    assert.equal(this.height, height + 1, what);
    this.transactions += 1;
    this.transcript.push(`${what} = ${text(outcome.result)}`);
    const printed = [];
    for (const { event, data } of outcome.events) {
      if (event !== 'print_event') {
        this.transcript.push(`${event} ${JSON.stringify(data)}`);
        continue;
      }
      this.transcript.push(`${data.contract_identifier} ${data.raw_value}`);
      printed.push([data.contract_identifier, data.raw_value]);
    }
    const moved = outcome.events.some(({ event }) => event.startsWith('ft_'));
    return { result: outcome.result, printed, moved };
  }

  deploy(role, name, code) {
    const height = this.height;
    const { printed } = this.transact(`deploy ${name}`, height, () =>
      this.sdk.deployContract(name, code, { clarityVersion: this.clarity }, this.who(role)));
    this.follow(printed, height);
    return printed;
  }

  /** A call, what it should come to, and everything that must hold after one. Returns what is inside the result. */
  send(role, contract, fn, args, expected) {
    const id = contract.includes('.') ? contract : this.id(contract);
    const what = `${role} ${contract} ${fn}`;
    const height = this.height;
    const { result, printed, moved } = this.transact(what, height, () =>
      this.sdk.callPublicFn(id, fn, args, this.who(role)));
    assert.ok(expected.test(text(result)), `${what}: ${text(result)}, not ${expected}`);
    const ok = result.type === 'ok';
    this.checkChanges(what, ok, fn, printed);
    this.follow(printed, height, { id, by: this.who(role) });
    for (const [printer] of printed) this.checkCursor(printer.split('.')[1]);
    checkMoney(this, what);
    if (moved) checkTokens(this, what);
    return result.value;
  }

  ok(role, contract, fn, ...args) {
    return this.send(role, contract, fn, args, /^\(ok /);
  }

  fails(code, role, contract, fn, ...args) {
    this.send(role, contract, fn, args, new RegExp(`^\\(err u${code}\\)$`));
  }

  /** Calls of the escrow. */
  does(role, fn, ...args) {
    return this.ok(role, 'freelance-logic', fn, ...args);
  }

  cannot(code, role, fn, ...args) {
    this.fails(code, role, 'freelance-logic', fn, ...args);
  }

  // ---- what must hold after each transaction

  /** One print for each contract that keeps something else than before, and none of a call that failed. */
  checkChanges(what, ok, fn, printed) {
    for (const name of TELLING) {
      const prints = printed.filter(([id]) => id === this.id(name)).length;
      const after = kept(this, name);
      const changed = differ(this.before.get(name), after);
      this.before.set(name, after);
      // An action that concerns the multisig itself is told of twice: that it ran, and what it did.
      const most = !ok ? 0 : fn === 'execute' && name === 'freelance-security' ? 2 : 1;
      assert.ok(prints <= most, `${what}: ${name} prints ${prints} times`);
      assert.ok(prints > 0 || !changed, `${what}: ${name} changes silently`);
    }
  }

  /** Seq without gaps, `prev` the hash of the bytes before, the height of the block, and who is said to have called. */
  follow(printed, height, call) {
    for (const [id, raw] of printed) {
      const name = id.split('.')[1];
      const chain = this.chains.get(name) ?? assert.fail(`${id} prints`);
      const event = plain(Cl.deserialize(raw));
      const { topic, v, seq, prev, bh, by } = event;
      assert.deepEqual(
        { v, seq, prev, bh },
        { v: 1n, seq: chain.seq + 1n, prev: chain.head, bh: BigInt(height) }, `${name} ${topic}`);
      // A contract that was called by another names that one; only the escrow records, whoever called it.
      const caller = call && (id === call.id ? call.by : topic.endsWith('-recorded') ? this.escrow : call.id);
      if (call) assert.equal(by, caller, `${name} ${topic}`);
      this.chains.set(name, { seq, head: sha256(raw) });
      this.topics.add(`${name} ${topic} ${Object.keys(event.data).sort()}`);
    }
  }

  /** What the contract says of its chain is where the bytes of its prints lead. */
  checkCursor(name) {
    assert.deepEqual(plain(this.read(name, 'get-cursor')), this.chains.get(name), name);
  }

  // ---- reading

  /** A map's entry as plain JavaScript, or null. */
  entry(contract, map, key) {
    return this.raw.plain(this.raw.entry(contract, map, serializeCVBytes(key)));
  }

  count(contract, variable) {
    return this.raw.plain(this.raw.variable(contract, variable));
  }

  read(contract, fn, ...args) {
    return this.sdk.callReadOnlyFn(this.id(contract), fn, args, this.who('stranger')).result;
  }

  /** What a read-only function says, as plain JavaScript. */
  get(contract, fn, ...args) {
    return plain(this.read(contract, fn, ...args));
  }

  milestone(id, m) {
    return this.get('freelance-logic', 'get-milestone', id, u(m));
  }

  project(id) {
    return this.get('freelance-logic', 'get-project', id);
  }

  stx(who) {
    return stx(this, who);
  }

  tokensOf(name, who) {
    return tokens(this, name, who);
  }

  mint(name, amount, who) {
    this.minted.set(name, (this.minted.get(name) ?? 0n) + BigInt(amount));
    this.ok('client', name, 'mint', u(amount), principal(who));
  }

  /** The difference that `run` makes to balances in STX, in the order of `whose`. */
  moved(whose, run) {
    const before = whose.map((who) => this.stx(who));
    run();
    return whose.map((who, at) => this.stx(who) - before[at]);
  }

  // ---- what people do all the time

  /** The arguments of open-project; `due` is in burn blocks from now. */
  opening(amounts, { due = 40, token = none, arbiter = none, split = 2_500, freelancer = 'freelancer' } = {}) {
    const terms = amounts.map((amount) => tuple({ amount: u(amount), due: u(this.height + due) }));
    return [this.p(freelancer), arbiter, list(terms), u(split), hash(7), token];
  }

  openProject(amounts, more) {
    return this.does('client', 'open-project', ...this.opening(amounts, more));
  }

  active(amounts, more) {
    const id = this.openProject(amounts, more);
    this.does('freelancer', 'accept-project', id);
    return id;
  }

  submitted(more) {
    const id = this.active([10_000], more);
    this.does('freelancer', 'submit', id, u(1), hash(1));
    return id;
  }

  disputed(more) {
    const id = this.submitted(more);
    this.does('client', 'open-dispute', id, u(1), hash(2));
    return id;
  }

  /** An action's arguments: those not given are empty. */
  action({ p1, p2, n = [], b = false, s = '' }) {
    const at = (place) => u(n[place] ?? 0);
    return tuple({
      p1: p1 ? some(principal(p1)) : none, p2: p2 ? some(principal(p2)) : none,
      n1: at(0), n2: at(1), n3: at(2), n4: at(3), b: Cl.bool(b), h: hash(1), s: ascii(s),
    });
  }

  propose(kind, args = {}) {
    return this.ok('signer-1', 'freelance-security', 'propose', ascii(kind), this.action(args));
  }

  /** Proposed by one, approved by two; its time has come when this returns. */
  agreed(kind, args) {
    const id = this.propose(kind, args);
    this.ok('signer-2', 'freelance-security', 'approve', id);
    this.ok('signer-3', 'freelance-security', 'approve', id);
    const { eta } = this.get('freelance-security', 'get-action', id);
    this.burnTo(Math.max(this.height, Number(eta)));
    return id;
  }

  governed(kind, args, token = none) {
    this.ok('signer-4', 'freelance-security', 'execute', this.agreed(kind, args), token);
  }

  refused(code, kind, args, token = none) {
    this.fails(code, 'signer-4', 'freelance-security', 'execute', this.agreed(kind, args), token);
  }

  /** A token is tried when it is enabled, so whoever executes must have some of it. */
  enable(name) {
    this.mint(name, 10, this.who('signer-4'));
    this.governed('set-asset', { p1: this.id(name), b: true, n: [1_000_000_000, 8] }, this.token(name));
  }

  /** A token, an arbiter, an attestor and a minter, and short windows. */
  settleIn() {
    this.enable('test-token');
    this.governed('set-params', { n: [20, 12, 60, 12] });
    this.governed('set-arbiter', { p1: this.who('arbiter') });
    this.governed('set-attestor', { p1: this.who('attestor'), b: true });
    this.governed('set-minter', { p1: this.who('minter'), b: true });
    this.mint('test-token', 1_000_000_000, this.who('client'));
  }
}
