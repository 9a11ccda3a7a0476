// Writes stacks_transactions.json: values and transactions as @stacks/transactions encodes them.
//
// Run in this folder: npm install && npm run generate
// Keys are fixed and signatures deterministic, so the same version writes the same file.
import { writeFileSync } from 'node:fs';
import {
  AddressHashMode,
  Cl,
  Pc,
  PostConditionMode,
  StacksTransactionWire,
  TransactionSigner,
  addressFromPublicKeys,
  addressHashModeToVersion,
  addressToString,
  createCoinbasePayload,
  createMultiSigSpendingCondition,
  createNakamotoCoinbasePayload,
  createSingleSigSpendingCondition,
  createSponsoredAuth,
  createStacksPublicKey,
  createStandardAuth,
  createTenureChangePayload,
  createTokenTransferPayload,
  getAddressFromPrivateKey,
  makeContractCall,
  makeContractDeploy,
  makeSTXTokenTransfer,
  privateKeyToPublic,
  serializeCV,
  sponsorTransaction,
} from '@stacks/transactions';

const secret = (n) => n.toString(16).padStart(2, '0').repeat(32) + '01';
const publicKey = (n) => privateKeyToPublic(secret(n));
const address = (n, network) => getAddressFromPrivateKey(secret(n), network);
const hex = (text) => (text.startsWith('0x') ? text.slice(2) : text);

const STANDARD = 'SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7';
const CONTRACT = `${STANDARD}.market-v1`;
const TESTNET_CONTRACT = 'ST000000000000000000002AMW42H.pox-5';

function values() {
  const list = [
    ['int zero', Cl.int(0)],
    ['int minimum', Cl.int(-(2n ** 127n))],
    ['int maximum', Cl.int(2n ** 127n - 1n)],
    ['uint zero', Cl.uint(0)],
    ['uint maximum', Cl.uint(2n ** 128n - 1n)],
    ['buffer', Cl.bufferFromHex('00ff10')],
    ['buffer empty', Cl.bufferFromHex('')],
    ['true', Cl.bool(true)],
    ['false', Cl.bool(false)],
    ['principal', Cl.principal(STANDARD)],
    ['principal contract', Cl.principal(CONTRACT)],
    ['ok', Cl.ok(Cl.uint(1))],
    ['err', Cl.error(Cl.int(-1))],
    ['none', Cl.none()],
    ['some', Cl.some(Cl.some(Cl.bool(true)))],
    ['list', Cl.list([Cl.uint(1), Cl.uint(2)])],
    ['list empty', Cl.list([])],
    ['string-ascii', Cl.stringAscii('hello world')],
    ['string-ascii empty', Cl.stringAscii('')],
    ['string-utf8', Cl.stringUtf8('grüße 🦀')],
    ['tuple', Cl.tuple({ b: Cl.uint(2), a: Cl.uint(1), 'c-d': Cl.none() })],
    ['tuple of names that sort by byte', Cl.tuple({ aa: Cl.none(), a: Cl.none(), A: Cl.none(), 'a-b': Cl.none(), a1: Cl.none() })],
    ['print event', Cl.tuple({
      topic: Cl.stringAscii('project-funded'),
      v: Cl.uint(1),
      seq: Cl.uint(42),
      by: Cl.principal(CONTRACT),
      bh: Cl.bufferFromHex('ab'.repeat(32)),
      data: Cl.tuple({
        id: Cl.uint(7),
        token: Cl.some(Cl.principal(CONTRACT)),
        milestones: Cl.list([Cl.tuple({ due: Cl.uint(1), paid: Cl.bool(false) }), Cl.tuple({ due: Cl.uint(2), paid: Cl.bool(true) })]),
        note: Cl.stringUtf8('zweite Rate – fällig'),
      }),
    })],
  ];
  return list.map(([name, value]) => ({ name, hex: hex(serializeCV(value)) }));
}

function conditions() {
  const asset = [CONTRACT, 'gold'];
  const fungible = ['Eq', 'Gt', 'Gte', 'Lt', 'Lte'].map((code, at) => Pc.principal(STANDARD)[`willSend${code}`](at + 1).ustx());
  return [
    ...fungible,
    Pc.origin().willSendLte(10).ustx(),
    Pc.principal(CONTRACT).willSendGte(11).ft(...asset),
    Pc.principal(STANDARD).willSendEq(12).ft(...asset),
    Pc.principal(STANDARD).willSendAsset().nft(...asset, Cl.uint(1)),
    Pc.principal(STANDARD).willNotSendAsset().nft(...asset, Cl.tuple({ id: Cl.uint(2), part: Cl.stringAscii('x') })),
    { type: 'nft-postcondition', address: STANDARD, condition: 'maybe-sent', asset: `${CONTRACT}::gold`, assetId: Cl.none() },
    { type: 'staking-postcondition', address: STANDARD, condition: 'lte', amount: 13 },
    { type: 'pox-postcondition', address: STANDARD, condition: 'will-not-perform' },
    { type: 'pox-postcondition', address: CONTRACT, condition: 'may-perform' },
    { type: 'pox-postcondition', address: STANDARD, condition: 'will-perform' },
  ];
}

const record = (name, transaction, expected) => ({
  name,
  hex: hex(transaction.serialize()),
  txid: hex(transaction.txid()),
  fee: String(expected.fee ?? 0),
  nonce: String(expected.nonce ?? 0),
  ...expected,
});

const common = (network) => ({ network, fee: 1234, nonce: 56 });

async function singles(out) {
  for (const network of ['mainnet', 'testnet']) {
    const expected = { fee: '1234', nonce: '56', sender: address(1, network), keys: [publicKey(1)] };
    const options = { ...common(network), senderKey: secret(1) };
    out.push(record(`transfer ${network}`, await makeSTXTokenTransfer({ ...options, recipient: STANDARD, amount: 1000, memo: 'thanks' }), { ...expected, kind: 'token_transfer' }));
    out.push(record(`transfer to a contract ${network}`, await makeSTXTokenTransfer({ ...options, recipient: CONTRACT, amount: 2n ** 64n - 1n }), { ...expected, kind: 'token_transfer' }));
    for (const mode of ['allow', 'deny', 'originator']) {
      out.push(record(`call ${mode} ${network}`, await makeContractCall({
        ...options,
        contractAddress: TESTNET_CONTRACT.split('.')[0],
        contractName: 'pox-5',
        functionName: 'stake!',
        functionArgs: [Cl.uint(1), Cl.list([Cl.none(), Cl.some(Cl.bool(true))]), Cl.tuple({ z: Cl.uint(1), a: Cl.stringUtf8('é') })],
        postConditions: conditions(),
        postConditionMode: mode,
      }), { ...expected, kind: 'contract_call', contract: TESTNET_CONTRACT, conditions: conditions().length, mode: PostConditionMode[mode[0].toUpperCase() + mode.slice(1)] }));
    }
    for (const clarityVersion of [1, 2, 3, 4, 5, 6]) {
      out.push(record(`deploy Clarity ${clarityVersion} ${network}`, await makeContractDeploy({ ...options, contractName: 'market', codeBody: '(print u"grüße")\n', clarityVersion, postConditions: [] }), {
        ...expected, kind: 'versioned_smart_contract', contract: `${address(1, network)}.market`,
      }));
    }
  }
}

async function sponsored(out) {
  const network = 'testnet';
  const transaction = await makeSTXTokenTransfer({ ...common(network), fee: 0, senderKey: secret(1), recipient: STANDARD, amount: 5, sponsored: true });
  const paid = await sponsorTransaction({ transaction, sponsorPrivateKey: secret(2), fee: 777, sponsorNonce: 8, network });
  out.push(record('sponsored transfer', paid, {
    kind: 'token_transfer', fee: '777', nonce: '56', sender: address(1, network), sponsor: address(2, network), keys: [publicKey(1)], sponsorKeys: [publicKey(2)],
  }));
}

async function multisigBuilders(out) {
  const publicKeys = [1, 2, 3].map(publicKey);
  for (const useNonSequentialMultiSig of [false, true]) {
    const transaction = await makeSTXTokenTransfer({
      ...common('testnet'), recipient: STANDARD, amount: 5, numSignatures: 2, publicKeys, signerKeys: [1, 3].map(secret), useNonSequentialMultiSig,
    });
    out.push(record(`multisig builder, non-sequential ${useNonSequentialMultiSig}`, transaction, {
      kind: 'token_transfer', fee: '1234', nonce: '56', keys: publicKeys, sender: null,
    }));
  }
}

// Every hash mode, built and signed step by step.
function hashModes(out) {
  const payload = () => createTokenTransferPayload(STANDARD, 5, 'modes');
  const finish = (auth) => new StacksTransactionWire({ auth, payload: payload(), network: 'mainnet' });
  for (const [name, mode] of [['P2PKH', AddressHashMode.P2PKH], ['P2WPKH', AddressHashMode.P2WPKH]]) {
    const transaction = finish(createStandardAuth(createSingleSigSpendingCondition(mode, publicKey(1), 9, 300)));
    new TransactionSigner(transaction).signOrigin(secret(1));
    const sender = addressToString(addressFromPublicKeys(addressHashModeToVersion(mode, 'mainnet'), mode, 1, [createStacksPublicKey(publicKey(1))]));
    out.push(record(`hash mode ${name}`, transaction, { kind: 'token_transfer', fee: '300', nonce: '9', keys: [publicKey(1)], sender }));
  }
  const publicKeys = [1, 2, 3].map(publicKey);
  for (const name of ['P2SH', 'P2WSH', 'P2SHNonSequential', 'P2WSHNonSequential']) {
    const mode = AddressHashMode[name];
    const transaction = finish(createStandardAuth(createMultiSigSpendingCondition(mode, 2, publicKeys, 9, 300)));
    const signer = new TransactionSigner(transaction);
    signer.signOrigin(secret(1));
    signer.appendOrigin(publicKey(2));
    signer.signOrigin(secret(3));
    const keys = publicKeys.map(createStacksPublicKey);
    const sender = addressToString(addressFromPublicKeys(addressHashModeToVersion(mode, 'mainnet'), mode, 2, keys));
    out.push(record(`hash mode ${name}`, transaction, { kind: 'token_transfer', fee: '300', nonce: '9', keys: publicKeys, sender }));
  }
}

function otherPayloads(out) {
  const auth = () => createStandardAuth(createSingleSigSpendingCondition(AddressHashMode.P2PKH, publicKey(1), 0, 0));
  const data = new Uint8Array(32).fill(7);
  const proof = new Uint8Array(80).fill(9);
  const payloads = [
    ['coinbase', createCoinbasePayload(data)],
    ['coinbase_to_alt_recipient', createCoinbasePayload(data, Cl.principal(CONTRACT))],
    ['nakamoto_coinbase', createNakamotoCoinbasePayload(data, Cl.none(), proof)],
    ['nakamoto_coinbase', createNakamotoCoinbasePayload(data, Cl.some(Cl.principal(STANDARD)), proof)],
    ...[0, 1, 2, 3, 4, 5, 6].map((cause) => ['tenure_change', createTenureChangePayload('11'.repeat(20), '22'.repeat(20), '33'.repeat(20), '44'.repeat(32), 99, cause, '55'.repeat(20))]),
  ];
  payloads.forEach(([kind, payload], at) => {
    const transaction = new StacksTransactionWire({ auth: auth(), payload, network: 'testnet' });
    new TransactionSigner(transaction).signOrigin(secret(1));
    out.push(record(`${kind} ${at}`, transaction, { kind, sender: address(1, 'testnet'), keys: [publicKey(1)] }));
  });
}

const transactions = [];
await singles(transactions);
await sponsored(transactions);
await multisigBuilders(transactions);
hashModes(transactions);
otherPayloads(transactions);
const file = new URL('./stacks_transactions.json', import.meta.url);
writeFileSync(file, `${JSON.stringify({ source: '@stacks/transactions 7.6.0', values: values(), transactions }, null, 1)}\n`);
console.log(`${values().length} values, ${transactions.length} transactions`);
