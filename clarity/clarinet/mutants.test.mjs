// Tests that cannot fail prove nothing. Each of these plants one mistake in the sources, which the stories must find.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { source } from './lib/project.mjs';
import { World } from './lib/world.mjs';
import attacks from './stories/attacks.mjs';
import people from './stories/people.mjs';
import work from './stories/work.mjs';

const PAIR = { clarity: 3, epoch: '4.0' };
const [RELEASED] = work;
const [HANDLES] = people;
const [THEFT, , GRABBING, PHISHING, PAUSE] = attacks;

const MISTAKES = [
  ['what is locked is not taken down', 'freelance-logic', RELEASED, /counted as locked/,
    '(map-set locked asset (- (get-locked asset) amount))', 'true'],
  ['the fee is rounded up', 'freelance-logic', RELEASED, /deep-equal/,
    '(fee (/ (* gross (get fee-bps pr)) BPS))', '(fee (/ (+ (* gross (get fee-bps pr)) u9999) BPS))'],
  ['the fee stays in the escrow', 'freelance-logic', RELEASED, /in the escrow/,
    '(try! (pay token fee treasury))', ''],
  ['any token does', 'freelance-logic', THEFT, /\(ok true\), not .*1224/,
    '(asserts! (is-eq asset (asset-of token)) ERR-ASSET)\n    (map-set projects', '(map-set projects'],
  ['the one who signed may release, whoever calls', 'freelance-logic', PHISHING, /gift: \(ok true\), not .*1201/,
    '(asserts! (is-eq contract-caller (get client pr)) ERR-NOT-CLIENT)\n    (asserts! (<= (get status ms) SUBMITTED)',
    '(asserts! (is-eq tx-sender (get client pr)) ERR-NOT-CLIENT)\n    (asserts! (<= (get status ms) SUBMITTED)'],
  ['a pause holds money back', 'freelance-logic', PAUSE, /release: \(err u1214\), not/,
    '(asserts! (is-eq ACTIVE (get status pr)) ERR-PROJECT-STATUS)\n    (asserts! (is-eq asset',
    '(asserts! (is-eq ACTIVE (get status pr)) ERR-PROJECT-STATUS)\n    (asserts! (> burn-block-height (get paused-until (var-get config))) ERR-PAUSED)\n    (asserts! (is-eq asset'],
  ['a token is called with the authority of the escrow', 'freelance-logic', GRABBING, /STX in the escrow/,
    't (ok (unwrap! (contract-call? t transfer amount SELF to none) ERR-FT-TRANSFER))',
    't (ok (unwrap! (as-contract (contract-call? t transfer amount tx-sender to none)) ERR-FT-TRANSFER))'],
  ['a change is not told of', 'freelance-data', HANDLES, /changes silently/,
    /(meta: meta\}\}\)\)\)\n.*\n)\s*\(print ev\)/, '$1      true'],
  ['a change is told of twice', 'freelance-data', HANDLES, /prints 2 times/,
    /(meta: meta\}\}\)\)\)\n.*\n)\s*\(print ev\)/, '$1      (print ev) (print ev)'],
  ['the head is not moved', 'freelance-data', HANDLES, /freelance-data/,
    /(meta: meta\}\}\)\)\)\n).*\n/, '$1'],
];

describe('a planted mistake is found', () => {
  for (const [name, contract, story, sign, find, replacement] of MISTAKES) {
    test(name, async () => {
      const original = source(contract);
      const mistaken = original.replace(find, replacement);
      assert.notEqual(mistaken, original, 'the place of the mistake is gone');
      const w = await World.of(PAIR, (asked) => (asked === contract ? mistaken : source(asked)));
      w.settleIn();
      assert.throws(() => story.run(w), sign);
    });
  }
});
