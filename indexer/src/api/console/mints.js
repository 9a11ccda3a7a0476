// Badges on their way to the chain. Which columns, filters and actions there are is what the service's description says.
import { ask, description, has, path } from "./api.js";
import { badge, el, empty, facts, json } from "./dom.js";
import { actions, filterFields, filters, rowFields } from "./forms.js";
import { List } from "./list.js";
import { capital, principal, time, words } from "./text.js";

const ROUTE = "/v1/mints";
const FIRST = ["id", "state", "status", "reason", "recipient", "user", "kind", "badge", "awarded_s", "changed_s", "txid", "height"];
const MOST = 9;
const LEVELS = [[/fail|dead|stuck|lost|refus/, "bad"], [/held|review|cancel/, "warn"], [/ok$|done|minted|satisfied/, "good"]];

const isPlain = ({ schema }) => [schema.type].flat().some((type) => ["string", "integer", "number", "boolean"].includes(type)) || Boolean(schema.enum);

const place = ({ name }) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);

const cell = (name) => (row) => {
  const value = row[name];
  if (value === null || value === undefined) return "";
  if (["state", "status", "standing"].includes(name)) return badge(words(value), LEVELS.find(([form]) => form.test(value))?.[1]);
  if (/_s$/.test(name) && typeof value === "number") return time(value);
  if (/_at$|^at$/.test(name)) return time(value);
  const text = String(value);
  if (/^S[PTMN][0-9A-Z]{20,}/.test(text)) return el("span", { title: text, class: "mono" }, principal(text));
  return text.length > 24 ? el("span", { title: text, class: "cut" }, text) : text;
};

/** A value with nothing cut off. */
const whole = (name, value) => (typeof value === "string" && value.length > 24 ? el("span", { class: "mono" }, value) : cell(name)({ [name]: value }));

const list = async (root, { query, filter, open }) => {
  if (!(await has("get", ROUTE))) {
    root.append(empty("This service mints no badges: its description has no " + ROUTE + "."));
    return {};
  }
  const document_ = await description();
  const fields = rowFields(document_, ROUTE).filter(isPlain).sort((a, b) => place(a) - place(b));
  const questions = filterFields(document_, ROUTE);
  const wanted = Object.fromEntries(questions.map(({ name }) => [name, query.get(name)]));
  const canOpen = await has("get", ROUTE + "/{id}");
  const id = (row) => String(row.id ?? row[fields[0].name]);
  const table = new List({
    label: "Mints",
    none: "No mint passes these filters.",
    name: id,
    open: canOpen ? (row) => open(id(row)) : undefined,
    read: (cursor, signal) => ask(path(ROUTE, { ...wanted, limit: 50, cursor }), { signal }),
    columns: fields.slice(0, MOST).map(({ name, schema }) => ({
      title: capital(words(name.replace(/_s$/, ""))), cell: cell(name), kind: [schema.type].flat().includes("integer") && !/_s$/.test(name) ? "number" : "",
    })),
  });
  root.append(questions.length ? filters(questions, query, filter) : "", table.node);
  await table.load();
  return { reload: () => table.load(), more: () => table.more() };
};

/** What belongs to a mint and comes in rows, for instance its history. */
const parts = (label, rows) => new List({
  label,
  name: (row) => rows.indexOf(row),
  read: async () => ({ data: rows }),
  columns: Object.keys(rows[0]).filter((name) => rows.every((row) => row[name] === null || typeof row[name] !== "object"))
    .map((name) => ({ title: capital(words(name.replace(/_s$/, ""))), cell: cell(name) })),
});

const detail = async (root, { title, again, list: reread }, id) => {
  title("Mint " + id);
  if (!(await has("get", ROUTE + "/{id}"))) {
    root.append(empty("This service shows no single mints."));
    return;
  }
  const { data } = await ask(ROUTE + "/" + encodeURIComponent(id));
  const plain = Object.entries({ ...data, ...data.work }).filter(([name, value]) => name !== "work" && (value === null || typeof value !== "object"));
  const buttons = await actions(ROUTE + "/{id}", id, () => true, () => { again(); reread(); });
  root.append(facts(plain.map(([name, value]) => [capital(words(name.replace(/_s$/, ""))), whole(name, value)])), buttons || "");
  for (const [name, rows] of Object.entries(data).filter(([, value]) => Array.isArray(value) && value.length && typeof value[0] === "object")) {
    const inner = parts(name, rows);
    root.append(el("h3", {}, capital(words(name))), inner.node);
    await inner.load();
  }
  root.append(el("h3", {}, "As it was answered"), json(data, "The mint as it was answered"));
};

export const mints = { id: "mints", title: "Mints", letter: "m", list, detail };
