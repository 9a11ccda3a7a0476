// One life of the marketplace under each pair of Clarity version and epoch, and the same bytes from all of them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { catalogue } from './lib/project.mjs';
import { World } from './lib/world.mjs';
import attacks from './stories/attacks.mjs';
import governance from './stories/governance.mjs';
import people from './stories/people.mjs';
import refusals from './stories/refusals.mjs';
import work from './stories/work.mjs';

// Clarity 3 begins with epoch 3.0. The first pair is what the other ones are compared with.
const PAIRS = [
  { clarity: 2, epoch: '2.4' },
  { clarity: 2, epoch: '2.5' },
  { clarity: 2, epoch: '3.0' },
  { clarity: 2, epoch: '4.0' },
  { clarity: 3, epoch: '3.0' },
  { clarity: 3, epoch: '3.4' },
  { clarity: 3, epoch: '4.0' },
];
// In this order: later stories use what earlier ones left behind.
const STORIES = [...work, ...people, ...attacks, ...refusals, ...governance];

const named = ({ clarity, epoch }) => `Clarity ${clarity}, epoch ${epoch}`;
const transcripts = new Map();

for (const pair of PAIRS) {
  describe(named(pair), () => {
    let w;
    before(async () => {
      w = await World.of(pair);
      w.settleIn();
    });
    for (const { name, run } of STORIES) test(name, () => run(w));
    test('every event of the catalogue was printed, with its fields', () => {
      const expected = [...catalogue()].map(([event, fields]) => `${event} ${fields}`);
      assert.deepEqual([...w.topics].sort(), expected.sort());
    });
    after(() => transcripts.set(named(pair), w.transcript));
  });
}

describe('the same bytes', () => {
  const [first, ...others] = PAIRS.map(named);
  for (const other of others) {
    test(`${other}: as ${first}`, () => {
      const [expected, found] = [first, other].map((name) => transcripts.get(name));
      const place = expected.findIndex((line, at) => line !== found[at]);
      assert.equal(found[place], expected[place], `line ${place}, after ${expected[place - 1]}`);
      assert.equal(found.length, expected.length);
    });
  }
});
