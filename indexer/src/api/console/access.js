// Keys, for administrators; what was done by whom, for operators.
import { ask, path } from "./api.js";
import { badge, el, facts, json, note } from "./dom.js";
import { filters, twice } from "./forms.js";
import { List } from "./list.js";
import { may } from "./session.js";
import { count, time } from "./text.js";

const FIELDS = [
  { name: "actor", label: "Who", type: "search", hint: "name of a key, subject of a token" },
  { name: "action", label: "What", hint: "key.create" },
  { name: "target", label: "To what" },
];

const standing = ({ revoked_at: revoked, expires_at: expires }) =>
  (revoked ? badge("revoked", "dim") : expires && Date.parse(expires) < Date.now() ? badge("expired", "dim") : badge("in force", "good"));

const keyList = () => {
  const revoke = (key) => (key.revoked_at ? "" : twice("Revoke", { "data-revoke": key.id, "aria-label": "Revoke the key " + key.id + " of " + key.name }, async () => {
    await ask("/v1/keys/" + encodeURIComponent(key.id), { method: "DELETE" });
    note("The key " + key.id + " is revoked. Running processes refuse it some seconds later.", "good");
    await table.load();
  }));
  const table = new List({
    label: "Keys, the newest first",
    none: "There are no keys.",
    name: ({ id }) => "key " + id,
    read: (cursor, signal) => ask(path("/v1/keys", { limit: 50, cursor }), { signal }),
    columns: [
      { title: "Key", cell: ({ id }) => el("code", {}, id) },
      { title: "Whose", cell: ({ name }) => name },
      { title: "Role", cell: ({ role }) => badge(role, role === "admin" ? "warn" : "") },
      { title: "Standing", cell: standing },
      { title: "Made", cell: ({ created_at: at }) => time(at), kind: "time" },
      { title: "Expires", cell: ({ expires_at: at }) => time(at) || "never", kind: "time" },
      { title: "Used", cell: ({ last_used_at: at }) => time(at) || "not yet", kind: "time" },
      { title: "", cell: revoke },
    ],
  });
  return table;
};

const list = async (root, { query, filter, open }) => {
  const keys = may("admin") ? keyList() : null;
  if (keys) {
    root.append(el("h2", {}, "Keys"), el("p", { class: "dim" }, "Keys are made on the command line only, so that no secret passes through a browser."), keys.node);
  }
  const log = new List({
    label: "Log of actions, the newest first",
    none: "No action passes these filters.",
    name: ({ id }) => id,
    open: ({ id }) => open(String(id)),
    read: (cursor, signal) => ask(path("/v1/audit-log", { ...Object.fromEntries(FIELDS.map(({ name }) => [name, query.get(name)])), limit: 50, cursor }), { signal }),
    columns: [
      { title: "No.", cell: ({ id }) => count(id), kind: "number" },
      { title: "When", cell: ({ at }) => time(at), kind: "time" },
      { title: "Who", cell: ({ actor, kind }) => [el("b", {}, actor), " by " + kind] },
      { title: "Role", cell: ({ role }) => role },
      { title: "What", cell: ({ action }) => action },
      { title: "To what", cell: ({ target }) => el("span", { class: "cut", title: target }, target) },
    ],
    loaded: (rows) => {
      seen = rows;
      return "";
    },
  });
  root.append(el("h2", {}, "Log of actions"), filters(FIELDS, query, filter), log.node);
  const read = () => Promise.all([keys?.load(), log.load()]);
  await read();
  return { reload: read, more: () => (log.hasMore ? log.more() : keys?.more()) };
};

// One action has no route of its own: it is found in what was read, or near the top of the log.
let seen = [];

const detail = async (root, { title, query }, id) => {
  title("Action " + id);
  const filtersGiven = Object.fromEntries(FIELDS.map(({ name }) => [name, query.get(name)]));
  const rows = seen.some((one) => String(one.id) === id) ? seen : (await ask(path("/v1/audit-log", { ...filtersGiven, limit: 200 }))).data;
  const it = rows.find((one) => String(one.id) === id);
  if (!it) {
    root.append(el("p", {}, "It is not among the newest actions: filter the log to find it."));
    return;
  }
  root.append(facts([["When", time(it.at)], ["Who", it.actor], ["Known by", it.kind], ["Role", it.role], ["What", it.action], ["To what", it.target]]),
    el("h3", {}, "Before"), json(it.before, "Before"), el("h3", {}, "After"), json(it.after, "After"));
};

export const access = { id: "access", title: "Access", letter: "a", role: "operator", list, detail };
