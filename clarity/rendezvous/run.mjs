// Runs `rv` on the contracts, and on copies with a mistake planted, which it must find.
//
//   node run.mjs              everything; RV_SEED and RV_RUNS choose other cases
//
// `rv` wants its tests beside the contracts, so a project is put together in a temporary folder. What is different
// there: a few accounts only, so that the caller is the right one often enough; the governor is an account, or
// accounts are the signers; the contract's own public functions are private, and its tests call them; and the
// epoch is 3.3, because `rv` 0.12.0 cannot read the plans of an SDK newer than 3.13.1, which knows no later one.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const CLARITY = join(HERE, '..');
const RV = join(HERE, 'node_modules/@stacks/rendezvous/dist/app.js');
const SEED = process.env.RV_SEED ?? '1';
const GIVEN = process.env.RV_SEED !== undefined || process.env.RV_RUNS !== undefined;
const LIMIT_MS = 300_000;

const ESCROW = ['freelance-traits', 'test-token', 'freelance-data', 'freelance-logic'];
const ALL = [...ESCROW, 'freelance-badges', 'freelance-security'];

const JOBS = [
  { contract: 'freelance-logic', type: 'invariant', runs: 250, accounts: 3, contracts: ESCROW },
  { contract: 'freelance-logic', type: 'test', runs: 200, accounts: 3, contracts: ESCROW },
  { contract: 'freelance-data', type: 'invariant', runs: 200, accounts: 3, contracts: ['freelance-data'] },
  { contract: 'freelance-security', type: 'invariant', runs: 200, accounts: 6, contracts: ALL },
];
// One mistake for each of them.
const MISTAKES = [
  ['what is locked is not taken down', '(map-set locked asset (- (get-locked asset) amount))', 'true'],
  ['a quote refunds what it pays', 'refund: (- amount gross)}))', 'refund: amount}))'],
  ['an old handle stays taken', '(match (map-get? profiles user) old (map-delete handles (get handle old)) true)', 'true'],
  ['a signer approves twice', '(asserts! (map-insert approved {id: id, who: contract-caller} true) ERR-APPROVED)',
    '(map-insert approved {id: id, who: contract-caller} true)'],
];

const read = (...path) => readFileSync(join(CLARITY, ...path), 'utf8');

/** Replaces what must be there exactly once. */
function replaced(text, find, replacement) {
  if (text.split(find).length !== 2) throw new Error(`not there exactly once: ${find}`);
  return text.replace(find, () => replacement);
}

/** Names, mnemonics and addresses of the first accounts. */
function accounts(count) {
  const plan = read('deployments/default.simnet-plan.yaml');
  const named = [...read('settings/Devnet.toml').matchAll(/\[accounts\.([a-z-]+)\]\nmnemonic = "([a-z ]+)"/g)];
  return named.slice(0, count).map(([, name, mnemonic]) => {
    const [, address] = plan.match(new RegExp(`name: ${name}\\n +address: (\\w+)`));
    return { name, mnemonic, address };
  });
}

function source(name, { contract }, people, mistake) {
  let text = read('contracts', `${name}.clar`);
  if (name === contract && mistake) text = replaced(text, mistake[1], mistake[2]);
  if (name === contract) text = text.replaceAll(/^\(define-public /gm, '(define-private ');
  if (name === 'freelance-security') {
    const signers = people.slice(1).map(({ address }) => `'${address}`).join(' ');
    text = text.replace(/\(define-constant SIGNERS \(list[^)]*\)\)/, `(define-constant SIGNERS (list ${signers}))`);
  } else if (contract !== 'freelance-security' && text.includes('(define-constant GOVERNOR')) {
    text = replaced(text, 'GOVERNOR .freelance-security)', `GOVERNOR '${people[0].address})`);
  }
  return text;
}

/** A project for `rv`, in a folder of its own. */
function assemble(job, mistake) {
  const path = mkdtempSync(join(tmpdir(), 'stxworx-rendezvous-'));
  const people = accounts(job.accounts);
  mkdirSync(join(path, 'contracts'));
  mkdirSync(join(path, 'settings'));
  const money = people.map(({ name, mnemonic }) => `[accounts.${name}]\nmnemonic = "${mnemonic}"\nbalance = 100_000_000_000_000\n`);
  writeFileSync(join(path, 'settings/Devnet.toml'), `[network]\nname = "devnet"\n${money.join('')}`);
  let manifest = '[project]\nname = "rendezvous"\ntelemetry = false\n';
  for (const name of job.contracts) {
    writeFileSync(join(path, 'contracts', `${name}.clar`), source(name, job, people, mistake));
    // Clarinet deploys by epoch first: so the token is there when the tests of the escrow name it.
    const epoch = ['freelance-traits', 'test-token'].includes(name) ? '3.2' : '3.3';
    manifest += `[contracts.${name}]\npath = "contracts/${name}.clar"\nclarity_version = 3\nepoch = "${epoch}"\n`;
  }
  const everybody = people.map(({ address }) => `'${address}`).join(' ');
  const tests = `(define-constant EVERYBODY (list ${everybody}))\n${read('rendezvous/tests', `${job.contract}.tests.clar`)}`;
  writeFileSync(join(path, 'contracts', `${job.contract}.tests.clar`), tests);
  writeFileSync(join(path, 'Clarinet.toml'), manifest);
  return path;
}

/** Exit code and output of `rv`. */
function rendezvous(path, { contract, type, runs }) {
  return new Promise((resolve, reject) => {
    const args = [RV, path, contract, type, '--seed', SEED, '--runs', process.env.RV_RUNS ?? `${runs}`, '--bail'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS, env: { ...process.env, NO_COLOR: '1' } });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output: output.replaceAll(/\x1b\[\d+m/g, '') }));
  });
}

/** How often each function did what was asked, by the tree that `rv` prints last. */
function tally(output) {
  const report = output.slice(output.lastIndexOf('EXECUTION STATISTICS'));
  const counts = {};
  let part;
  for (const line of report.split('\n')) {
    part = line.match(/[+!-] (SUCCESSFUL|IGNORED|PASSED|DISCARDED|FAILED)$/)?.[1] ?? part;
    const count = line.match(/─ ([a-z-]+): x(\d+)$/);
    if (count) (counts[part] ??= {})[count[1]] = Number(count[2]);
  }
  return counts;
}

/** Nothing, or what is wrong with the run of the contract as it is. */
function complaint({ code, output }) {
  if (code !== 0 || !/^OK, .* passed after \d+ runs\.$/m.test(output)) {
    const from = output.indexOf('\nError: ');
    return output.slice(from < 0 ? -3_000 : from).slice(0, 6_000);
  }
  const { SUCCESSFUL: called = {}, PASSED: passed = {} } = tally(output);
  const never = Object.entries({ ...called, ...passed }).filter(([, count]) => count === 0).map(([name]) => name);
  if (Object.keys(passed).length === 0) return 'nothing was tested';
  // What is called by chance depends on the seed; with the usual one, everything is.
  if (never.length > 0 && !GIVEN) return `a run in which these never succeed proves little: ${never.join(', ')}`;
  return undefined;
}

async function perform([job, mistake]) {
  const started = Date.now();
  const path = assemble(job, mistake);
  const result = await rendezvous(path, job).finally(() => rmSync(path, { recursive: true }));
  const seconds = ((Date.now() - started) / 1_000).toFixed(1);
  const title = `${job.contract} ${job.type}`;
  if (mistake) {
    const found = result.code !== 0 && result.output.includes('went on a rampage');
    console.log(`${found ? 'ok' : 'FAILED'}  ${title}: ${mistake[0]}: ${found ? 'found' : 'not found'}, ${seconds} s`);
    if (!found) console.log(result.output.slice(-3_000));
    return found;
  }
  const wrong = complaint(result);
  const { SUCCESSFUL: called = {}, PASSED: passed = {} } = tally(result.output);
  const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
  const calls = job.type === 'invariant' ? `, ${sum(called)} calls succeeded` : '';
  console.log(`${wrong ? 'FAILED' : 'ok'}  ${title}: ${Object.keys(passed).length} checked ${sum(passed)} times${calls}, ${seconds} s`);
  if (wrong) console.log(wrong);
  return !wrong;
}

const queue = [...JOBS.map((job) => [job]), ...JOBS.map((job, at) => [job, MISTAKES[at]])];
let failures = 0;
const worker = async () => {
  for (let next = queue.shift(); next; next = queue.shift()) if (!(await perform(next))) failures += 1;
};
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
console.log(failures === 0 ? 'rendezvous: all passed' : `rendezvous: ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;
