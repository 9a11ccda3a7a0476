// Projects, one by one and with their story.
import { ask, path } from "./api.js";
import { badge, el, empty, facts, failure, json } from "./dom.js";
import { filters } from "./forms.js";
import { List } from "./list.js";
import { may } from "./session.js";
import { amount, asset, count, hash, principal, time, words } from "./text.js";

const STATUS = ["", "open", "active", "completed", "refunded", "settled", "cancelled"];
const KIND = { completed: "good", active: "", open: "", refunded: "warn", settled: "warn", cancelled: "dim" };
const PASSED = ["participant", "client", "freelancer", "arbiter", "status", "asset", "sort", "order", "min_finality", "at_block", "min_total", "max_total", "contract"];

let known = null;

/** Decimals of each asset; asked for once. */
export const decimals = async () => {
  known ??= Object.fromEntries((await ask("/v1/assets?limit=200")).data.map((one) => [one.asset, one.decimals]));
  return (id) => known[id] ?? known[String(id).toUpperCase()] ?? 0;
};

const money = (of) => (units, id) => (units === null || units === undefined ? "" : el("span", { title: units + " base units" }, amount(units, of(id)), " ", asset(id)));

const who = (text) => el("span", { title: text, class: "mono" }, principal(text));

const fields = (assets) => [
  { name: "find", label: "Number or principal", type: "search", hint: "42 or ST…" },
  { name: "status", label: "Status", options: STATUS.map((word) => [word, word || "any"]) },
  { name: "asset", label: "Asset", options: [["", "any"], ...assets.map((id) => [id === "STX" ? "stx" : id, asset(id)])] },
  { name: "sort", label: "Sort", options: [["", "number"], "opened", "updated", "total"] },
  { name: "order", label: "Order", options: [["", "usual"], ["desc", "newest first"], ["asc", "oldest first"]] },
  { name: "min_finality", label: "Finality", options: [["", "any"], "burn_1", "burn_3", "final"] },
  { name: "at_block", label: "At block", hint: "height or hash" },
];

/** What was looked for: a number leads to the project, a principal filters. */
const question = (query) => {
  const wanted = Object.fromEntries(PASSED.map((name) => [name, query.get(name)]));
  const find = query.get("find") || "";
  return /^\d+$/.test(find) ? { number: find } : { wanted: { ...wanted, participant: find || wanted.participant } };
};

const list = async (root, { query, filter, go, open }) => {
  const show = money(await decimals());
  root.append(filters(fields(Object.keys(known)), query, (values) => {
    if (/^\d+$/.test(values.find || "")) go("projects", values.find);
    else filter(values);
  }));
  const { number, wanted } = question(query);
  const table = new List({
    label: "Projects",
    none: "No project passes these filters.",
    name: ({ contract, id }) => contract + "/" + id,
    open: ({ contract, id }) => open(contract + "/" + id),
    read: async (cursor, signal) => {
      if (number) return ask("/v1/projects/" + number, { signal }).then(({ data, as_of: asOf }) => ({ data: [data], as_of: asOf }));
      return ask(path("/v1/projects", { ...wanted, limit: 50, cursor }), { signal });
    },
    columns: [
      { title: "Project", cell: ({ id }) => count(id), kind: "number" },
      { title: "Status", cell: ({ status, violation }) => [badge(status, KIND[status]), violation ? [" ", badge("does not add up", "bad")] : null] },
      { title: "Client", cell: ({ client }) => who(client) },
      { title: "Freelancer", cell: ({ freelancer }) => who(freelancer) },
      { title: "Total", cell: ({ total, asset: id }) => show(total, id), kind: "number" },
      { title: "Paid", cell: ({ paid, asset: id }) => show(paid, id), kind: "number" },
      { title: "Opened", cell: ({ opened_height: height }) => count(height), kind: "number" },
      { title: "Changed", cell: ({ changed }) => count(changed.height), kind: "number" },
      { title: "Finality", cell: ({ changed }) => words(changed.finality) },
    ],
  });
  root.append(table.node);
  await table.load();
  return { reload: () => table.load(), more: () => table.more() };
};

const said = ({ said: it }) => {
  if (it.from === "chain") return [badge("chain", "good"), " ", el("b", {}, it.topic), " by ", who(it.by), " in block " + count(it.height) + ", " + words(it.finality)];
  if (it.from === "platform") return [badge("platform", ""), " row ", el("code", {}, it.key), it.until_s ? " until " + time(it.until_s) : ""];
  return [badge("break", "bad"), " ", it.rule + " " + it.what + ": ", el("b", {}, words(it.change)), " by " + it.who];
};

const story = (entries) => (entries.length ? el("ol", { class: "story" }, entries.map((entry) => el("li", {},
  el("details", {}, el("summary", {}, el("time", { class: "dim" }, time(entry.at_s)), " ", said(entry)), json(entry.said.data ?? entry.said.row ?? entry.said, "What it said"))))) : empty("Nothing was said of it."));

const milestones = (project, show) => new List({
  label: "Milestones",
  name: ({ m }) => m,
  read: async () => ({ data: project.milestones }),
  columns: [
    { title: "No.", cell: ({ m }) => count(m), kind: "number" },
    { title: "Status", cell: ({ status, cause }) => [badge(status, { released: "good", disputed: "bad", refunded: "warn", split: "warn" }[status]), cause ? " by " + words(cause) : ""] },
    { title: "Amount", cell: (m) => show(m.amount, project.asset), kind: "number" },
    { title: "Paid", cell: (m) => show(m.payout, project.asset), kind: "number" },
    { title: "Fee", cell: (m) => show(m.fee, project.asset), kind: "number" },
    { title: "Returned", cell: (m) => show(m.refund, project.asset), kind: "number" },
    { title: "Deadline", cell: ({ deadline }) => (deadline ? words(deadline.what) + ": " + count(deadline.blocks_left) + " Bitcoin blocks" : "") },
  ],
});

const timeline = (id, contract) => new List({
  label: "Timeline",
  name: ({ seq }) => seq,
  read: (cursor, signal) => ask(path("/v1/projects/" + id + "/timeline", { contract, limit: 50, cursor }), { signal }),
  columns: [
    { title: "Event", cell: ({ topic, data }) => el("details", {}, el("summary", {}, topic), json(data, "The event's fields")) },
    { title: "Block", cell: ({ height }) => count(height), kind: "number" },
    { title: "By", cell: ({ by }) => who(by) },
    { title: "Transaction", cell: ({ txid }) => el("code", { title: txid }, hash(txid)) },
    { title: "Finality", cell: ({ finality }) => words(finality) },
  ],
});

const detail = async (root, { title }, entity) => {
  const cut = entity.lastIndexOf("/");
  const id = encodeURIComponent(entity.slice(cut + 1));
  const contract = cut > 0 ? entity.slice(0, cut) : "";
  title("Project " + entity.slice(cut + 1));
  const [show, answer, parts] = await Promise.all([decimals().then(money),
    ask(path("/v1/projects/" + id, { contract })), ask(path("/v1/projects/" + id + "/milestones", { contract }))]);
  const project = answer.data;
  root.append(facts([
    ["Status", badge(project.status, KIND[project.status])],
    ["Does not add up", project.violation],
    ["Client", el("code", {}, project.client)], ["Freelancer", el("code", {}, project.freelancer)], ["Arbiter", el("code", {}, project.arbiter)],
    ["Total", show(project.total, project.asset)], ["Paid", show(project.paid, project.asset)],
    ["Fees", show(project.fees, project.asset)], ["Returned", show(project.refunded, project.asset)],
    ["Fee", project.fee_bps / 100 + " %"], ["Opened in block", count(project.opened_height)],
    ["Changed in block", count(project.changed.height) + ", " + words(project.changed.finality)],
    ["Contract", el("code", {}, project.contract)], ["Terms' hash", el("code", {}, project.meta)],
  ]));
  const works = milestones({ ...project, milestones: parts.data.milestones }, show);
  const events = timeline(id, project.contract);
  const why = el("div");
  root.append(el("h3", {}, "Milestones"), works.node, el("h3", {}, "Timeline"), events.node, el("h3", {}, "Why it stands so"), why);
  await Promise.all([works.load(), events.load(), explain(why, id, project.contract)]);
};

const explain = async (place, id, contract) => {
  if (!may("operator")) {
    place.append(empty("What the platform said is for operators."));
    return;
  }
  try {
    const { data } = await ask(path("/v1/projects/" + id + "/why", { contract }));
    const open = data.open.map((one) => el("li", {}, el("a", { href: "#/breaks/" + one.id }, one.rule + " " + one.what), " ", badge(one.severity, one.severity === "low" ? "" : "bad"), " " + one.state));
    place.replaceChildren(...(open.length ? [el("p", {}, "Breaks that are not over:"), el("ul", {}, open)] : [el("p", {}, "No break is open.")]), story(data.entries));
  } catch (error) {
    place.replaceChildren(failure(error, () => explain(place, id, contract)));
  }
};

export const projects = { id: "projects", title: "Projects", letter: "p", list, detail };
