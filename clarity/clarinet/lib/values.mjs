// Short words for Clarity values.
import { Cl, cvToString } from '@stacks/transactions';

export const u = Cl.uint;
export const none = Cl.none();
export const some = Cl.some;
export const yes = Cl.bool(true);
export const no = Cl.bool(false);
export const ascii = Cl.stringAscii;
/** 32 bytes of one value. */
export const hash = (n) => Cl.buffer(new Uint8Array(32).fill(n));
export const principal = Cl.principal;
export const list = Cl.list;
export const tuple = Cl.tuple;
export const text = cvToString;

/** A value as plain JavaScript: bigint, string, boolean, null, array or object. Responses lose their sides. */
export function plain(value) {
  switch (value.type) {
    case 'uint':
    case 'int':
      return BigInt(value.value);
    case 'true':
      return true;
    case 'false':
      return false;
    case 'none':
      return null;
    case 'some':
    case 'ok':
    case 'err':
      return plain(value.value);
    case 'list':
      return value.value.map(plain);
    case 'tuple':
      return Object.fromEntries(Object.entries(value.value).map(([name, field]) => [name, plain(field)]));
    default:
      return value.value;
  }
}
