// What happened to the chain.
import { ask, path } from "./api.js";
import { badge, el, facts, json } from "./dom.js";
import { List } from "./list.js";
import { ago, count, hash, time } from "./text.js";

const block = (name) => (name ? [count(name.height) + " ", el("code", { title: name.index_block_hash }, hash(name.index_block_hash))] : "below the mirror");

const list = async (root, { open }) => {
  const table = new List({
    label: "Forks, the newest first",
    none: "The chain has not forked since the mirror began.",
    name: ({ generation }) => generation,
    open: ({ generation }) => open(String(generation)),
    read: (cursor, signal) => ask(path("/v1/reorgs", { limit: 50, cursor }), { signal }),
    columns: [
      { title: "No.", cell: ({ generation }) => count(generation), kind: "number" },
      { title: "When", cell: ({ at }) => el("time", { datetime: at, title: at }, time(at)), kind: "time" },
      { title: "Ago", cell: ({ at }) => ago(at), kind: "time" },
      { title: "Depth", cell: ({ depth, left_final: left }) => [count(depth), left ? [" ", badge("left final", "bad")] : null], kind: "number" },
      { title: "Cause", cell: ({ cause }) => cause },
      { title: "Ancestor", cell: ({ common_ancestor: at }) => block(at) },
      { title: "Left", cell: ({ old_tip: tip }) => block(tip) },
      { title: "Taken", cell: ({ new_tip: tip }) => block(tip) },
    ],
  });
  root.append(table.node);
  await table.load();
  return { reload: () => table.load(), more: () => table.more() };
};

/** There is no route for one fork; the list is read up to it, some pages at most. */
const find = async (generation) => {
  let cursor = null;
  for (let pages = 0; pages < 20; pages++) {
    const page = await ask(path("/v1/reorgs", { limit: 200, cursor }));
    const found = page.data.find((one) => String(one.generation) === generation);
    if (found || !page.next_cursor) return found;
    cursor = page.next_cursor;
  }
  return undefined;
};

const detail = async (root, { title }, generation) => {
  title("Fork " + generation);
  const fork = await find(generation);
  if (!fork) {
    root.append(el("p", {}, "There is no such fork among the newest ones."));
    return;
  }
  const full = (name) => (name ? [count(name.height), " ", el("code", {}, name.index_block_hash)] : null);
  root.append(facts([
    ["When", time(fork.at) + ", " + ago(fork.at)],
    ["Blocks left", count(fork.depth)],
    ["Cause", fork.cause === "burn" ? "Bitcoin left the blocks behind" : "a block made another branch better"],
    ["A final block was left", fork.left_final ? badge("yes", "bad") : "no"],
    ["Last common block", full(fork.common_ancestor) || "below the lowest mirrored block"],
    ["Tip that was left", full(fork.old_tip)],
    ["Tip that was taken", full(fork.new_tip)],
  ]), json(fork, "The fork as it was answered"));
};

export const forks = { id: "forks", title: "Forks", letter: "f", list, detail };
