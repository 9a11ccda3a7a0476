// Clarinet.toml, the settings and the deployment plans: that they are true, and that Clarinet can read them.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { validateStacksAddress } from '@stacks/transactions';
import { ACCOUNTS, CONTRACTS, ROOT, plan, published, read, source } from './lib/project.mjs';

console.log = () => {};
const { getSDK } = await import('@stacks/clarinet-sdk');

const copies = [];
after(() => copies.forEach((path) => rmSync(path, { recursive: true })));

/** A copy of the project: Clarinet writes into the one that it loads. */
function copy() {
  const path = mkdtempSync(join(tmpdir(), 'stxworx-clarinet-'));
  copies.push(path);
  for (const part of ['Clarinet.toml', 'settings', 'contracts', 'deployments']) {
    cpSync(join(ROOT, part), join(path, part), { recursive: true });
  }
  return path;
}

async function load(path) {
  const sdk = await getSDK({ trackCosts: false, trackCoverage: false });
  await sdk.initSession(path, './Clarinet.toml', null);
  return sdk;
}

/** What loading a project is refused with. */
async function refusal(path) {
  return load(path).then(() => 'loaded', String);
}

describe('Clarinet.toml', () => {
  test('loads, with every contract as Clarity 3 in epoch 4.0, and the committed plan is the one that it makes', async () => {
    const path = copy();
    const sdk = await load(path);
    const contracts = sdk.getContractsInterfaces();
    for (const name of CONTRACTS) {
      const { epoch, clarity_version: version } = contracts.get(`${sdk.deployer}.${name}`);
      assert.deepEqual([epoch, version], ['Epoch40', 'Clarity3'], name);
    }
    assert.deepEqual(new Map([...sdk.getAccounts()].sort()), new Map([...ACCOUNTS].sort()));
    const simnet = 'deployments/default.simnet-plan.yaml';
    assert.equal(readFileSync(join(path, simnet), 'utf8'), read(simnet));
  });

  test('a mistake in a source is shown with file, line and column', async () => {
    const path = copy();
    const file = join(path, 'contracts/test-token.clar');
    const good = source('test-token');
    const lines = good.split('\n');
    const refused = async (text, line, column, error) => {
      writeFileSync(file, text);
      const message = await refusal(path);
      assert.ok(message.includes(`error: ${error}\n--> ${file}:${line}:${column}\n`), message);
    };
    const at = lines.findIndex((line) => line.includes('(ok u8)'));
    const column = lines[at].indexOf('u8') + 1;
    await refused(good.replace('u8', '(+ u8 true)'), at + 1, column, "expecting expression of type 'uint', found 'bool'");
    // The last line has 17 characters and an end, where the parser stands when it gives up.
    await refused(`${good}(define-private (\n`, lines.length, 19, "expected closing ')'");
  });
});

describe('the order of deployment', () => {
  test('is that of the Rust side', () => {
    const rust = [...read('src/contracts.rs').matchAll(/contracts\/([a-z-]+)\.clar"/g)].map(([, name]) => name);
    assert.deepEqual(CONTRACTS, rust);
  });

  test('matters: a contract comes after what it calls', async () => {
    const sdk = await getSDK();
    await sdk.initEmptySession({ enabled: false });
    sdk.setEpoch('4.0');
    const deploy = (name) => sdk.deployContract(name, source(name), { clarityVersion: 3 }, ACCOUNTS.get('deployer'));
    assert.throws(() => deploy('freelance-logic'), /freelance-data/);
    // Its governor and its writer do not exist yet: a constant may name who is to come.
    deploy('freelance-data');
    assert.throws(() => deploy('freelance-logic'), /freelance-traits/);
    deploy('freelance-traits');
    deploy('freelance-logic');
    assert.throws(() => deploy('freelance-security'), /freelance-badges/);
  });
});

test('Clarity 2 and 3 take the contracts, older and newer versions do not: so the plans name one', async () => {
  const taken = [];
  for (const clarityVersion of [1, 2, 3, 4, 5, 6]) {
    const sdk = await getSDK({ trackCosts: false, trackCoverage: false });
    await sdk.initEmptySession({ enabled: false });
    sdk.setEpoch('4.0');
    const deploy = (name) => sdk.deployContract(name, source(name), { clarityVersion }, ACCOUNTS.get('deployer'));
    const refused = clarityVersion < 2 ? /to-consensus-buff/ : /as-contract/;
    try {
      CONTRACTS.forEach(deploy);
      taken.push(clarityVersion);
    } catch (error) {
      assert.match(String(error), refused);
    }
  }
  assert.deepEqual(taken, [2, 3]);
});

describe('the deployment plans', () => {
  const NETWORKS = ['devnet', 'testnet', 'mainnet'];

  for (const network of NETWORKS) {
    test(`${network}: Clarinet can read the plan`, async () => {
      // The SDK reads only the plan of the simnet, so that is what this one passes for. It reads any kind of transaction.
      const path = copy();
      const simnet = join(path, 'deployments/default.simnet-plan.yaml');
      const text = read(`deployments/default.${network}-plan.yaml`);
      writeFileSync(simnet, text);
      assert.equal(await refusal(path), 'loaded');
      writeFileSync(simnet, text.replace(/cost: \d+/, 'cost: little'));
      assert.match(await refusal(path), /unable to read file/);
    });

    test(`${network}: in order, as Clarity 3, and paid for`, () => {
      const transactions = published(plan(network));
      const expected = CONTRACTS.filter((name) => network === 'devnet' || name !== 'test-token');
      assert.deepEqual(transactions.map((tx) => tx['contract-name']), expected);
      assert.deepEqual(plan(network).plan.batches.map(({ epoch }) => epoch), ['4.0']);
      for (const tx of transactions) {
        const name = tx['contract-name'];
        assert.deepEqual([tx['transaction-type'], tx['clarity-version'], tx['anchor-block-only']], ['contract-publish', 3, true]);
        assert.ok(tx.cost >= 10 * Buffer.byteLength(source(name)), `${name}: ${tx.cost} micro-STX is less than 10 a byte`);
        const folder = network === 'devnet' ? 'contracts' : `deployments/rendered/${network}`;
        assert.equal(tx.path, `${folder}/${name}.clar`);
      }
    });
  }

  test('a devnet is deployed by its deployer, other networks by nobody yet', () => {
    const senders = NETWORKS.map((network) => [...new Set(published(plan(network)).map((tx) => tx['expected-sender']))]);
    assert.deepEqual(senders[0], [ACCOUNTS.get('deployer')]);
    for (const [sender] of senders.slice(1)) assert.equal(validateStacksAddress(sender), false);
    for (const network of ['Testnet', 'Mainnet']) assert.match(read(`settings/${network}.toml`), /mnemonic = "<PLACEHOLDER: /);
  });
});
