// Error codes of the escrow, each at the place that it is for.
import { hash, list, none, principal, some, tuple, u } from '../lib/values.mjs';

const LIMIT = 2n ** 128n - 1n;

export default [
  {
    name: 'an opening is refused for its parties, milestones, amounts, dates, split, asset and money',
    run(w) {
      const good = w.opening([10_000]);
      const opening = (code, place, value) => {
        const args = [...good];
        args[place] = value;
        w.cannot(code, 'client', 'open-project', ...args);
      };
      const terms = (amount, due) => list([tuple({ amount: u(amount), due: u(due) })]);
      opening(1223, 0, w.p('client'));
      opening(1223, 0, principal(w.escrow));
      opening(1223, 1, some(w.p('freelancer')));
      opening(1223, 1, some(w.p('client')));
      opening(1220, 2, list([]));
      for (const amount of [0, 999, 1_000_000_000_001n, LIMIT]) opening(1221, 2, terms(amount, w.height + 5));
      for (const due of [0, 1, w.height + 52_570, LIMIT]) opening(1222, 2, terms(10_000, due));
      opening(1225, 3, u(10_001));
      opening(1291, 5, w.token('gold'));
      const full = Array(10).fill(1_000_000_000_000);
      const poor = w.opening(full, { freelancer: 'stranger' });
      w.fails(1290, 'signer-1', 'freelance-logic', 'open-project', ...poor);
    },
  },
  {
    name: 'nobody touches a project that is not there, not his, or not so far',
    run(w) {
      const missing = u(9_999);
      w.cannot(1210, 'client', 'release', missing, u(1), none);
      w.cannot(1210, 'freelancer', 'accept-project', missing);
      const id = w.openProject([10_000]);
      w.cannot(1202, 'client', 'accept-project', id);
      w.cannot(1201, 'stranger', 'cancel-unaccepted', id, none);
      w.cannot(1202, 'stranger', 'decline', id, none);
      w.cannot(1212, 'freelancer', 'submit', id, u(1), hash(1));
      w.cannot(1212, 'client', 'release', id, u(1), none);
      w.cannot(1224, 'client', 'cancel-unaccepted', id, w.token('test-token'));
      w.does('freelancer', 'accept-project', id);
      w.cannot(1212, 'client', 'cancel-unaccepted', id, none);
      w.cannot(1211, 'client', 'release', id, u(2), none);
      w.cannot(1202, 'client', 'submit', id, u(1), hash(1));
      w.cannot(1201, 'freelancer', 'release', id, u(1), none);
      w.cannot(1215, 'client', 'reclaim-expired', id, u(1), none);
      w.cannot(1213, 'keeper', 'claim-timeout', id, u(1), none);
      w.cannot(1213, 'client', 'open-dispute', id, u(1), hash(1));
      w.cannot(1203, 'stranger', 'open-dispute', id, u(1), hash(1));
      w.cannot(1222, 'client', 'extend-due', id, u(1), u(1));
      w.cannot(1222, 'client', 'extend-due', id, u(1), u(LIMIT));
      w.does('client', 'release', id, u(1), none);
      for (const fn of ['release', 'reclaim-expired', 'claim-stale-dispute']) w.cannot(1213, 'client', fn, id, u(1), none);
    },
  },
  {
    name: 'offers and disputes are refused out of turn',
    run(w) {
      const id = w.active([10_000]);
      const until = u(w.height + 12);
      w.cannot(1203, 'stranger', 'offer-settlement', id, u(1), u(1), until);
      w.cannot(1225, 'client', 'offer-settlement', id, u(1), u(10_001), until);
      w.cannot(1228, 'client', 'offer-settlement', id, u(1), u(1), u(1));
      w.cannot(1228, 'client', 'offer-settlement', id, u(1), u(1), u(LIMIT));
      w.cannot(1227, 'freelancer', 'accept-settlement', id, u(1), u(1), none);
      w.does('client', 'offer-settlement', id, u(1), u(1), until);
      w.cannot(1228, 'freelancer', 'offer-settlement', id, u(1), u(2), until);
      w.cannot(1203, 'freelancer', 'withdraw-settlement', id, u(1));
      w.cannot(1203, 'client', 'accept-settlement', id, u(1), u(1), none);
      w.burn(15);
      w.cannot(1216, 'freelancer', 'accept-settlement', id, u(1), u(1), none);
      w.does('freelancer', 'submit', id, u(1), hash(1));
      w.cannot(1213, 'arbiter', 'resolve', id, u(1), u(1), none);
      w.burn(13);
      w.cannot(1216, 'client', 'open-dispute', id, u(1), hash(1));
      w.cannot(1216, 'client', 'reject', id, u(1), hash(1));
      w.does('freelancer', 'open-dispute', id, u(1), hash(1));
      w.cannot(1204, 'client', 'resolve', id, u(1), u(1), none);
      w.cannot(1225, 'arbiter', 'resolve', id, u(1), u(10_001), none);
      w.cannot(1203, 'stranger', 'claim-stale-dispute', id, u(1), none);
      w.does('arbiter', 'resolve', id, u(1), u(0), none);
    },
  },
];
