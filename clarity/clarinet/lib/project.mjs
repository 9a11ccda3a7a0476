// What the tests know of the project: its files, and nothing that is written twice.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** The folder with Clarinet.toml. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export const read = (path) => readFileSync(new URL(path, new URL('../../', import.meta.url)), 'utf8');

export const source = (name) => read(`contracts/${name}.clar`);

/** A deployment plan, as it is written. */
export const plan = (network) => parse(read(`deployments/default.${network}-plan.yaml`));

/** The transactions of a plan, in order. */
export const published = (plan) => plan.plan.batches.flatMap((batch) => batch.transactions);

/** The contracts of a devnet, in the order of deployment. */
export const CONTRACTS = published(plan('devnet')).map((tx) => tx['contract-name']);

/** Names and addresses of the accounts in the simnet's plan. */
export const ACCOUNTS = new Map(plan('simnet').genesis.wallets.map(({ name, address }) => [name, address]));

/** The signers that the source of the multisig names. */
export const SIGNERS = source('freelance-security')
  .match(/\(define-constant SIGNERS \(list([^)]*)\)\)/)[1]
  .match(/S[TN][0-9A-Z]+/g);

/** The kinds of action that the multisig knows. */
export const KINDS = [...source('freelance-security').matchAll(/^\(map (?:criticals|routines|emergencies) \(list([^)]*)\)\)/gm)]
  .flatMap(([, names]) => names.match(/[a-z-]+/g));

/**
 * The catalogue of events, as `contract topic` to the sorted names of the fields. The Rust source is the one schema;
 * its layout is held by the formatter, so reading it by pattern is safe enough, and a miss fails the tests.
 */
export function catalogue() {
  const text = read('src/events/catalogue.rs').replace(/\/\/\/.*$/gm, '');
  const events = new Map();
  for (const [, contract, body] of text.matchAll(/^ {4}\w+ \w+Event "([a-z-]+)" \{$(.*?)^ {4}\}$/gms)) {
    for (const [, topic, fields] of body.matchAll(/\w+ "([a-z-]+)" 1 \{([^}]*)\}/g)) {
      const names = [...fields.matchAll(/(\w+): /g)].map(([, name]) => name.replaceAll('_', '-'));
      events.set(`${contract} ${topic}`, names.sort());
    }
  }
  return events;
}
