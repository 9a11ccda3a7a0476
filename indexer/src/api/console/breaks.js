// What does not agree between the chain, its mirror and the platform, and what is done about it.
import { ask, path } from "./api.js";
import { badge, el, facts, json, note } from "./dom.js";
import { actions, filters } from "./forms.js";
import { List } from "./list.js";
import { amount, asset, ago, count, time, words } from "./text.js";
import { decimals } from "./projects.js";

const SEVERITY = { critical: "bad", high: "bad", medium: "warn", low: "" };
const STATE = { suspected: "dim", open: "bad", acknowledged: "warn", resolved: "good" };
const FIELDS = [
  { name: "subject", label: "About", type: "search", hint: "part of a key" },
  { name: "state", label: "State", options: [["", "not over"], "suspected", "open", "acknowledged", "resolved"] },
  { name: "severity", label: "As bad as", options: [["", "any"], "low", "medium", "high", "critical"] },
  { name: "fault", label: "At fault", options: [["", "anybody"], "node", "mirror", "platform"] },
  { name: "rule", label: "Rule", hint: "P2" },
];

/** The last part of a key; the contract before it is nearly always the same. */
const shortKey = (key) => key.slice(key.lastIndexOf("/") + 1);
const atRisk = (of) => ({ amount: units, asset: id }) => (units ? amount(units, of(id)) + " " + asset(id) : "");

const coverageOf = async () => {
  const { data } = await ask("/v1/coverage");
  const run = data.newest;
  if (!run) return el("p", {}, "Nothing has been compared yet.");
  const share = (n) => count(n) + " " + (run.considered ? "(" + Math.round((n * 1000) / run.considered) / 10 + " %)" : "");
  return el("section", { class: "card flat", "aria-label": "The newest comparison" }, el("h2", {}, "Newest comparison: no. " + count(run.id) + ", " + run.kind), facts([
    ["Ended", time(run.finished_s) + ", " + ago(run.finished_s)],
    ["Looked at", count(run.considered)], ["Equal", share(run.matched)], ["Given time", count(run.tolerated)],
    ["Different", count(run.broken)], ["Not comparable", count(run.skipped)],
    ["Made-up fault", run.canary === "missed" ? badge("missed: the comparison is blind", "bad") : run.canary],
  ]));
};

const list = async (root, { query, filter, open }) => {
  const risk = atRisk(await decimals());
  const top = el("div");
  const wanted = Object.fromEntries(FIELDS.map(({ name }) => [name, query.get(name)]));
  const table = new List({
    label: "Breaks, the worst and oldest first",
    none: "No break passes these filters.",
    name: ({ id }) => id,
    open: ({ id }) => open(id),
    read: (_cursor, signal) => ask(path("/v1/breaks", { ...wanted, limit: 200 }), { signal }),
    loaded: (rows) => (rows.length >= 200 ? "the worst 200 are shown: filter to see others" : ""),
    columns: [
      { title: "Break", cell: ({ rule, what }) => el("span", { class: "cut", title: what }, el("b", {}, rule), " ", what) },
      { title: "Severity", cell: ({ severity }) => badge(severity, SEVERITY[severity]) },
      { title: "State", cell: ({ state, resolution }) => [badge(state, STATE[state]), resolution ? " " + words(resolution) : ""] },
      { title: "About", cell: ({ subject_kind: kind, subject_key: key }) => el("span", { class: "cut", title: key }, words(kind) + " " + shortKey(key)) },
      { title: "At fault", cell: ({ fault }) => fault },
      { title: "Must be", cell: ({ expected }) => el("span", { class: "cut", title: expected }, expected) },
      { title: "Is", cell: ({ found }) => el("span", { class: "cut", title: found }, found) },
      { title: "At risk", cell: risk, kind: "number" },
      { title: "Seen first", cell: ({ first_seen_s: at }) => ago(at), kind: "time" },
    ],
  });
  root.append(top, filters(FIELDS, query, filter), table.node);
  const read = () => Promise.all([table.load(), coverageOf().then((node) => top.replaceChildren(node), (error) => top.replaceChildren(el("p", {}, error.message)))]);
  await read();
  return { reload: read };
};

/** What makes sense for a break that stands so. */
const fits = (state) => (action) => (state === "resolved" ? action === "reopen" : action !== "reopen" && !(action.startsWith("ack") && state === "acknowledged"));

const repair = (sql) => {
  const copy = el("button", { type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(sql);
      note("The statement is copied.", "good");
    } catch {
      note("The browser allows no copy: select the text.", "bad");
    }
  } }, "Copy");
  return el("section", { "aria-label": "Repair" }, el("h3", {}, "A statement that would end it"), el("p", {}, "Nothing carries it out. Read it first."),
    el("pre", { class: "json", tabindex: 0 }, sql), copy);
};

const subject = ({ subject_kind: kind, subject_key: key }) =>
  kind === "project" ? el("a", { href: "#/projects/" + encodeURIComponent(key) }, key) : key;

const detail = async (root, { title, again, list: reread }, id) => {
  const { data: it } = await ask("/v1/breaks/" + encodeURIComponent(id));
  const risk = atRisk(await decimals());
  title(it.rule + " " + it.what);
  const done = () => { again(); reread(); };
  const buttons = await actions("/v1/breaks/{id}", it.id, fits(it.state), done);
  const accepted = it.body?.state?.accepted || it.body?.accepted;
  root.append(facts([
    ["State", [badge(it.state, STATE[it.state]), it.resolution ? " " + words(it.resolution) : ""]],
    ["Severity", badge(it.severity, SEVERITY[it.severity])],
    ["About", [it.subject_kind + " ", subject(it)]],
    ["At fault", it.fault], ["Must be", it.expected], ["Is", it.found], ["At risk", risk(it)],
    ["Seen first", time(it.first_seen_s) + ", " + ago(it.first_seen_s)], ["Opened", it.opened_s ? time(it.opened_s) : null], ["Seen last", time(it.last_seen_s)],
    ["Accepted", accepted ? JSON.stringify(accepted) : null],
    ["Rule", it.rule + ", version " + it.rule_version], ["Id", el("code", {}, it.id)], ["Evidence", el("code", {}, it.evidence_hash)],
  ]), buttons || "", it.repair_sql ? repair(it.repair_sql) : "");
  const history = new List({
    label: "History",
    name: ({ seq }) => seq,
    read: async () => ({ data: it.history }),
    columns: [
      { title: "Change", cell: ({ change }) => words(change) },
      { title: "When", cell: ({ at_s: at }) => time(at), kind: "time" },
      { title: "Who", cell: ({ who }) => who },
      { title: "Run", cell: ({ run }) => count(run), kind: "number" },
    ],
  });
  root.append(el("h3", {}, "History"), history.node, el("h3", {}, "Evidence"), json(it.body, "Evidence"));
  await history.load();
};

export const breaks = { id: "breaks", title: "Breaks", letter: "b", role: "operator", list, detail };
