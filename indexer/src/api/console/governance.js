// Governed actions: who approved, and in how many Bitcoin blocks something can happen or lapses.
import { ask, path } from "./api.js";
import { badge, el, facts, json } from "./dom.js";
import { filters } from "./forms.js";
import { List } from "./list.js";
import { burnBlocks, count, principal, words } from "./text.js";

const STANDING = { collecting: "", waiting: "warn", ready: "good", expired: "dim", lapsed: "dim", executed: "good", cancelled: "dim" };
const CLASSES = ["routine", "critical", "emergency"];
const FIELDS = [
  { name: "kind", label: "Kind", type: "search", hint: "set-fee" },
  { name: "status", label: "Status", options: [["", "any"], "pending", "executed", "cancelled"] },
];

const key = ({ contract, id }) => contract + "/" + id;

const countdown = ({ blocks_to_eta: eta, standing }) => {
  if (eta === null || eta === undefined) return "";
  if (eta > 0) return el("span", { class: "countdown" }, "in " + burnBlocks(eta));
  return standing === "ready" ? badge("now", "good") : "over";
};

const approvals = ({ approvals: given, rejections, approvals_needed: needed }) => [
  count(given.length) + (needed === null || needed === undefined ? "" : " of " + count(needed)),
  rejections.length ? [" ", badge(count(rejections.length) + " against", "warn")] : null];

const signersOf = async () => (await ask("/v1/governance/signers?limit=200")).data;

const rule = (one) => el("section", { class: "card", "aria-label": "Signers of " + one.contract }, el("h2", { title: one.contract }, one.contract.split(".")[1] || one.contract),
  facts([["Signers", count(one.signers.length)], ["Routine", count(one.routine) + " must approve"], ["Critical", count(one.critical) + " must approve"],
    ["Emergency", count(one.emergency) + " must approve"], ["Epoch", count(one.epoch)]]),
  el("ul", { class: "signers" }, one.signers.map((signer) => el("li", { class: "mono", title: signer }, principal(signer)))));

const tableOf = (label, none, wanted, open) => new List({
  label, none,
  name: key,
  open: (row) => open(key(row)),
  read: (cursor, signal) => ask(path("/v1/governance/actions", { ...wanted, limit: 50, cursor }), { signal }),
  columns: [
    { title: "Action", cell: ({ id, kind }) => [el("b", {}, count(id)), " ", words(kind)] },
    { title: "Standing", cell: ({ standing }) => badge(standing, STANDING[standing]) },
    { title: "Approvals", cell: approvals },
    { title: "Can be executed", cell: countdown },
    { title: "Expires", cell: ({ blocks_to_expiry: left }) => (left === null || left === undefined ? "" : left > 0 ? "in " + burnBlocks(left) : "over") },
    { title: "From height", cell: ({ eta }) => count(eta), kind: "number" },
    { title: "Proposed by", cell: ({ proposer }) => el("span", { class: "mono", title: proposer }, principal(proposer)) },
  ],
});

const list = async (root, { query, filter, open }) => {
  const top = el("div");
  const pending = tableOf("Pending actions", "Nothing waits for anybody.", { status: "pending" }, open);
  const all = tableOf("All actions", "No action passes these filters.", { kind: query.get("kind"), status: query.get("status") }, open);
  root.append(el("h2", {}, "Pending"), pending.node, el("h2", {}, "All actions"), filters(FIELDS, query, filter), all.node, el("h2", {}, "Signers"), top);
  const read = async () => {
    const [signers] = await Promise.all([signersOf(), pending.load(), all.load()]);
    top.replaceChildren(...signers.map(rule));
  };
  await read();
  return { reload: read, more: () => (pending.hasMore ? pending.more() : all.more()) };
};

const vote = (action) => (signer) => {
  if (action.approvals.includes(signer)) return badge("approved", "good");
  return action.rejections.includes(signer) ? badge("rejected", "bad") : badge("has not spoken", "dim");
};

const detail = async (root, { title }, entity) => {
  const cut = entity.lastIndexOf("/");
  const contract = entity.slice(0, Math.max(cut, 0));
  const [{ data: action, as_of: asOf }, all] = await Promise.all([
    ask(path("/v1/governance/actions/" + encodeURIComponent(entity.slice(cut + 1)), { contract })), signersOf()]);
  title("Action " + action.id + ": " + words(action.kind));
  const now = all.find((one) => one.contract === action.contract);
  const spoke = [...action.approvals, ...action.rejections];
  const signers = [...new Set([...(now?.epoch === action.epoch ? now.signers : []), ...spoke])];
  const given = vote(action);
  root.append(facts([
    ["Standing", badge(action.standing, STANDING[action.standing])],
    ["Approvals", approvals(action)],
    ["Can be executed", [countdown(action) || "was", ", at Bitcoin height " + count(action.eta)]],
    ["Expires", "at Bitcoin height " + count(action.expires)],
    ["Bitcoin height now", count(asOf?.burn_height)],
    ["Class", CLASSES[action.class] || String(action.class)],
    ["Proposed by", el("code", {}, action.proposer)],
    ["Executed", action.executed ? el("code", {}, action.executed) : null],
    ["Signers' epoch", count(action.epoch) + (now && now.epoch !== action.epoch ? "; now it is " + count(now.epoch) : "")],
    ["Contract", el("code", {}, action.contract)],
  ]), el("h3", {}, "Signers"),
  el("ul", { class: "signers" }, signers.map((signer) => el("li", {}, el("code", { title: signer }, principal(signer)), " ", given(signer)))),
  el("h3", {}, "Arguments"), json(action.args, "Arguments"));
};

export const governance = { id: "governance", title: "Governance", letter: "v", list, detail };
