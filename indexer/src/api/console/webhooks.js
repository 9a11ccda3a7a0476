// Who is told, and what could not be delivered.
import { ask, path } from "./api.js";
import { badge, el, facts, json, note } from "./dom.js";
import { twice } from "./forms.js";
import { List } from "./list.js";
import { count, time, words } from "./text.js";

const STATE = { active: "good", paused: "warn", disabled: "dim" };
const DELIVERY = { delivered: "good", pending: "", dead: "bad", done: "good" };

const list = async (root, { open }) => {
  const table = new List({
    label: "Webhooks",
    none: "There are no webhooks.",
    name: ({ id }) => id,
    open: ({ id }) => open(String(id)),
    read: (cursor, signal) => ask(path("/v1/webhooks", { limit: 50, cursor }), { signal }),
    columns: [
      { title: "No.", cell: ({ id }) => count(id), kind: "number" },
      { title: "Address", cell: ({ url }) => el("span", { class: "cut long", title: url }, url) },
      { title: "State", cell: ({ state, reason }) => [badge(state, STATE[state]), reason ? " " + reason : ""] },
      { title: "Told from", cell: ({ min_finality: depth }) => words(depth) },
      { title: "On failure", cell: ({ on_failure: then }) => then },
      { title: "Owner", cell: ({ owner }) => owner },
      { title: "Made", cell: ({ created_at: at }) => time(at), kind: "time" },
    ],
  });
  root.append(table.node);
  await table.load();
  return { reload: () => table.load(), more: () => table.more() };
};

const columns = [
  { title: "Letter", cell: ({ delivery }) => el("code", {}, delivery) },
  { title: "State", cell: ({ state, redriven, kind }) => [badge(state, DELIVERY[state]), redriven ? [" ", badge("sent again")] : null, kind === "frame" ? null : " " + words(kind)] },
  { title: "Attempts", cell: ({ attempts }) => count(attempts), kind: "number" },
  { title: "Answer", cell: ({ response_code: code, last_error: error }) => el("span", { class: "cut", title: error }, [code, error].filter(Boolean).join(" ")) },
  { title: "Made", cell: ({ created_at: at }) => time(at), kind: "time" },
];

const deliveries = (id, kind, label, none, action = []) => new List({
  label, none,
  name: ({ delivery }) => delivery,
  read: (cursor, signal) => ask(path("/v1/webhooks/" + id + "/" + kind, { limit: 50, cursor }), { signal }),
  columns: [columns[0], ...action, ...columns.slice(1)],
});

const detail = async (root, { title }, text) => {
  const id = encodeURIComponent(text);
  title("Webhook " + text);
  const { data: it } = await ask("/v1/webhooks/" + id);
  root.append(facts([
    ["Address", el("code", {}, it.url)], ["State", [badge(it.state, STATE[it.state]), it.reason ? " " + it.reason : ""]],
    ["Told from", words(it.min_finality)], ["On failure", it.on_failure + "; attempts: " + count(it.max_attempts)],
    ["Position", el("code", {}, it.position)], ["Secrets that sign", count(it.secrets)], ["Told to forget", count(it.resets) + " times"],
    ["Owner", it.owner], ["Made", time(it.created_at)], ["Changed", time(it.changed_at)],
  ]));
  const redrive = ({ delivery }) => twice("Send again", { "data-redrive": delivery }, async () => {
    await ask("/v1/webhooks/" + id + "/dead-letters/" + encodeURIComponent(delivery) + "/redrive", { method: "POST" });
    note("Letter " + delivery + " is sent again.", "good");
    await Promise.all([dead.load(), all.load()]);
  });
  const dead = deliveries(id, "dead-letters", "Dead letters", "No letter is dead.", [{ title: "", cell: redrive }]);
  const all = deliveries(id, "deliveries", "Deliveries", "Nothing was sent yet.");
  root.append(el("h3", {}, "Dead letters"), dead.node, el("h3", {}, "Deliveries"), all.node, el("h3", {}, "Filter"), json(it.filter, "Filter"));
  await Promise.all([dead.load(), all.load()]);
};

export const webhooks = { id: "webhooks", title: "Webhooks", letter: "w", role: "operator", list, detail };
