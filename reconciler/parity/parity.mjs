// Makes each transaction of a list anew with @stacks/transactions, and compares bytes and ids.
//
//   node parity.mjs [--write FILE] < LIST     LIST: one JSON object a line, as `mint_vectors` prints them
//
// --write keeps the list with the bytes of @stacks/transactions, for those who have no node.
import { readFileSync, writeFileSync } from "node:fs";
import {
  AddressVersion,
  Cl,
  PostConditionMode,
  deserializeTransaction,
  makeContractCall,
  makeSTXTokenTransfer,
} from "@stacks/transactions";
import { STACKS_MAINNET, STACKS_TESTNET } from "@stacks/network";

const split = (contract) => contract.split(".");

async function make(input) {
  const common = {
    senderKey: `${input.secret}01`,
    nonce: BigInt(input.nonce),
    fee: BigInt(input.fee),
    network: input.chain_id === 1 ? STACKS_MAINNET : STACKS_TESTNET,
  };
  if (input.call === "noop") {
    const transaction = await makeSTXTokenTransfer({
      ...common,
      recipient: input.contract,
      amount: 1n,
      memo: "stxworx noop",
    });
    // Its transfers have no conditions and are in Deny mode.
    return transaction;
  }
  const [contractAddress, contractName] = split(input.contract);
  return makeContractCall({
    ...common,
    contractAddress,
    contractName,
    functionName: "mint",
    functionArgs: [Cl.principal(input.recipient), Cl.uint(BigInt(input.kind))],
    postConditionMode: PostConditionMode.Deny,
    postConditions: [],
    validateWithAbi: false,
  });
}

const lines = readFileSync(0, "utf8").split("\n").filter(Boolean);
const kept = [];
const counts = {};
let different = 0;
for (const line of lines) {
  const input = JSON.parse(line);
  const transaction = await make(input);
  const theirs = { bytes: transaction.serialize(), txid: transaction.txid() };
  // What they read of ours is what was meant.
  const read = deserializeTransaction(input.bytes);
  const same =
    theirs.bytes === input.bytes &&
    theirs.txid === input.txid &&
    read.serialize() === input.bytes &&
    read.postConditionMode === PostConditionMode.Deny &&
    read.postConditions.values.length === 0 &&
    BigInt(read.auth.spendingCondition.nonce) === BigInt(input.nonce) &&
    BigInt(read.auth.spendingCondition.fee) === BigInt(input.fee);
  if (!same) {
    different += 1;
    if (different <= 3) {
      console.error(`mint-parity: ${JSON.stringify(input)}\n  theirs ${theirs.txid} ${theirs.bytes}`);
    }
  }
  const kind = `${input.chain_id === 1 ? "mainnet" : "testnet"} ${input.call}`;
  counts[kind] = (counts[kind] ?? 0) + 1;
  kept.push({ ...input, ...theirs });
}
if (AddressVersion.MainnetSingleSig !== 22 || lines.length === 0) {
  console.error("mint-parity: nothing was compared");
  process.exit(1);
}
const at = process.argv.indexOf("--write");
if (at > 0) {
  writeFileSync(process.argv[at + 1], kept.map((k) => `${JSON.stringify(k)}\n`).join(""));
}
const told = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`);
console.log(`mint-parity: ${lines.length} transactions (${told.join(", ")}), ${different} differ`);
process.exit(different === 0 ? 0 : 1);
