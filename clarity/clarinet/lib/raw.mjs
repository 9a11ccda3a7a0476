// Reads state without decoding it. The SDK's own reads encode the key and decode the value each time, which would
// be most of the time that these tests take.
import assert from 'node:assert/strict';
import { SDK } from '@stacks/clarinet-sdk-wasm';
import { Cl } from '@stacks/transactions';
import { plain } from './values.mjs';

/** The value `none`, in hexadecimal. */
export const NONE = '0x09';

export class Raw {
  constructor(w) {
    this.w = w;
    this.decoded = new Map();
  }

  variable(contract, name) {
    return SDK.prototype.getDataVar.call(this.w.sdk, this.w.id(contract), name);
  }

  entry(contract, map, key) {
    try {
      return SDK.prototype.getMapEntry.call(this.w.sdk, this.w.id(contract), map, key);
    } catch (error) {
      // So the SDK says that a map has never had anything at that key.
      assert.equal(String(error), 'value not found', `${contract} ${map}`);
      return NONE;
    }
  }

  /** As plain JavaScript, decoded once. */
  plain(hex) {
    if (!this.decoded.has(hex)) this.decoded.set(hex, plain(Cl.deserialize(hex)));
    return this.decoded.get(hex);
  }
}
