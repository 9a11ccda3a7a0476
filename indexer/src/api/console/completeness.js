// Is an event missing? Per contract: what chains and proofs say, and a map of heights with the best evidence for each.
import { ask, path } from "./api.js";
import { badge, el, facts, json, svg } from "./dom.js";
import { List } from "./list.js";
import { ago, count, hash, time, words } from "./text.js";

const EVIDENCE = ["ingested", "hash_linked", "cursor_proved", "replay_audited", "state_reconciled"];
const WIDTH = 1000;
const MOST = 12;

const verdict = (proof) => (!proof ? badge("not asked", "warn") : badge(words(proof.verdict), proof.verdict === "proved" ? "good" : proof.verdict === "differs" ? "bad" : "warn"));

const legend = () => el("ul", { class: "legend", "aria-label": "What the colours say, the weakest evidence first" },
  ["nothing", ...EVIDENCE].map((word) => el("li", {}, svg("svg", { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" },
    svg("rect", { width: 12, height: 12, rx: 2, class: "e-" + word })), words(word))));

/** A strip of heights. Its description has the sums, for those who do not see it. */
const strip = (coverage, low, high, label) => {
  const blocks = high - low + 1;
  const at = (height) => ((height - low) * WIDTH) / blocks;
  const sums = Object.fromEntries(EVIDENCE.map((word) => [word, 0]));
  for (const part of coverage) sums[part.evidence] = (sums[part.evidence] || 0) + part.to_height - part.from_height + 1;
  const told = EVIDENCE.filter((word) => sums[word]).map((word) => count(sums[word]) + " " + words(word)).join(", ") || "nothing";
  return svg("svg", { class: "strip", viewBox: "0 0 " + WIDTH + " 24", preserveAspectRatio: "none", role: "img", "aria-label": label + ": " + told },
    svg("rect", { x: 0, y: 0, width: WIDTH, height: 24, class: "e-nothing" }),
    coverage.map((part) => svg("rect", {
      x: at(part.from_height), y: 0, width: Math.max(at(part.to_height + 1) - at(part.from_height), 0.6), height: 24, class: "e-" + part.evidence,
    }, svg("title", {}, count(part.from_height) + " to " + count(part.to_height) + ": " + words(part.evidence)))));
};

const mapOf = async (contracts, whole, asOf) => {
  const low = whole.origin?.height ?? 0;
  const high = Math.max(asOf?.height ?? 0, low);
  const shown = contracts.slice(0, MOST);
  const each = await Promise.all(shown.map(({ contract }) => ask(path("/v1/completeness", { contract }))));
  const row = (name, coverage) => [el("div", { class: "strip-name", title: name }, name.includes(".") ? name.split(".")[1] : name), strip(coverage, low, high, name)];
  return el("section", { class: "map", "aria-label": "Evidence by height" },
    el("h2", {}, "Evidence by height"), legend(),
    el("div", { class: "strips" }, row("all", whole.coverage), shown.map(({ contract }, i) => row(contract, each[i].data.coverage)),
      el("span"), el("div", { class: "ends" }, el("span", {}, count(low)), el("span", {}, count(high)))),
    whole.coverage_cut ? el("p", {}, "There are more ranges than the answer holds; the newest are left out.") : null,
    contracts.length > MOST ? el("p", {}, "The first " + MOST + " contracts are drawn.") : null);
};

const list = async (root, { open }) => {
  const top = el("div");
  const table = new List({
    label: "Contracts",
    name: ({ contract }) => contract,
    open: ({ contract }) => open(contract),
    read: async (_cursor, signal) => {
      const { data, as_of: asOf } = await ask("/v1/completeness", { signal });
      top.replaceChildren(el("p", {}, data.complete ? badge("complete", "good") : badge("not complete", "bad"), " ",
        data.proved ? badge("proved by the node", "good") : badge("not proved", "warn"), " ",
        data.unrecognised ? badge(count(data.unrecognised) + " prints not recognised", "warn") : null,
        data.gaps.length ? el("ul", {}, data.gaps.map((gap) => el("li", {}, gap))) : null),
      await mapOf(data.contracts, data, asOf));
      return { data: data.contracts, as_of: asOf };
    },
    columns: [
      { title: "Contract", cell: ({ contract }) => el("span", { title: contract }, contract.split(".")[1] || contract) },
      { title: "Complete", cell: ({ complete }) => (complete ? badge("yes", "good") : badge("no", "bad")) },
      { title: "Node", cell: ({ proof }) => verdict(proof) },
      { title: "Events", cell: ({ chain }) => count(chain?.seq), kind: "number" },
      { title: "At block", cell: ({ proof }) => count(proof?.height), kind: "number" },
      { title: "Asked", cell: ({ proof }) => ago(proof?.checked_at), kind: "time" },
      { title: "Broken links", cell: ({ chain }) => count(chain?.breaks), kind: "number" },
      { title: "Gaps", cell: ({ gaps }) => count(gaps.length), kind: "number" },
    ],
  });
  root.append(top, table.node);
  await table.load();
  return { reload: () => table.load() };
};

const detail = async (root, { title }, contract) => {
  title(contract.split(".")[1] || contract);
  const { data } = await ask(path("/v1/completeness", { contract }));
  const of = data.contracts[0];
  if (!of) {
    root.append(el("p", {}, "The mirror follows no such contract."));
    return;
  }
  const { chain, proof } = of;
  root.append(facts([
    ["Contract", el("code", {}, of.contract)],
    ["Complete", of.complete ? badge("yes", "good") : badge("no", "bad")],
    ["Newest event", chain ? count(chain.seq) + " in block " + count(chain.height) : "none"],
    ["Its hash", chain ? el("code", {}, chain.head) : null],
    ["First event", chain ? count(chain.from_seq) : null],
    ["Broken links", chain ? count(chain.breaks) : null],
    ["Last of them", chain?.last_break],
    ["The node's answer", verdict(proof)],
    ["Asked", proof ? time(proof.checked_at) + " at block " + count(proof.height) + (proof.canonical ? "" : ", which is not canonical any more") : null],
    ["It says", proof?.node_seq ? [count(proof.node_seq), " ", el("code", { title: proof.node_head }, hash(proof.node_head))] : null],
    ["Last difference", proof?.last_difference],
    ["Not recognised", count(of.unrecognised.count)],
    ["Gaps", of.gaps.join("; ")],
  ]));
  const ranges = new List({
    label: "Ranges of heights",
    name: ({ from_height: from }) => from,
    read: async () => ({ data: data.coverage }),
    columns: [
      { title: "From", cell: ({ from_height: from }) => count(from), kind: "number" },
      { title: "To", cell: ({ to_height: to }) => count(to), kind: "number" },
      { title: "Evidence", cell: ({ evidence }) => words(evidence) },
      { title: "Checked", cell: ({ checked_at: at }) => time(at), kind: "time" },
    ],
  });
  root.append(el("h3", {}, "Ranges"), ranges.node, el("h3", {}, "As it was answered"), json(of, "The contract as it was answered"));
  await ranges.load();
};

export const completeness = { id: "completeness", title: "Completeness", letter: "c", list, detail };
