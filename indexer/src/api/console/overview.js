// Where the mirror stands, whether it lags, and what the chain does right now.
import { ask } from "./api.js";
import { badge, el, empty, facts, failure } from "./dom.js";
import { live } from "./live.js";
import { may } from "./session.js";
import { ago, count, hash, span, time, times, words } from "./text.js";

const KEPT = 12;
const EVERY_MS = 10000;
const SOONEST_MS = 3000;
const LEVELS = [["critical", "bad"], ["high", "bad"], ["medium", "warn"], ["low", ""]];

// What was heard is kept while other sections are looked at.
const heard = [];
const tell = (kind) => ({ detail }) => {
  if (!detail.last) return;
  const topics = {};
  for (const event of detail.events || []) if (event.topic) topics[event.topic] = (topics[event.topic] || 0) + 1;
  heard.unshift({ kind, block: detail.block, events: (detail.events || []).length, topics, at: Date.now() });
  heard.length = Math.min(heard.length, KEPT);
};
live.addEventListener("applied", tell("applied"));
live.addEventListener("retracted", tell("retracted"));
live.addEventListener("anew", () => { heard.length = 0; });

const card = (title, kind, ...content) => el("section", { class: "card " + kind, "aria-label": title }, el("h2", {}, title), ...content);

/** The health of the process, which answers 503 with the same body when it lags. */
const lagOf = async (signal) => {
  try {
    return await ask("/health/lag", { signal });
  } catch (error) {
    if (error.status === 503 && error.problem.reasons) return error.problem;
    throw error;
  }
};

const tipCard = (status) => {
  const of = status.as_of;
  if (!of) return card("Tip", "warn", empty("The mirror is empty."));
  return card("Tip", "", el("p", { class: "big" }, count(of.height)), facts([
    ["Block", el("code", { title: of.index_block_hash }, hash(of.index_block_hash))],
    ["Its clock", time(of.time)],
    ["Bitcoin", count(of.burn_height)],
    ["Final up to", of.finality_height === null ? "nothing yet" : count(of.finality_height)],
    ["Forks so far", count(of.generation)],
    ["Digest", el("code", { title: of.digest }, hash(of.digest))],
  ]));
};

const lagCard = (lag, process) => {
  const bad = lag.behind || lag.blocked;
  return card("Lag", bad ? "bad" : "good", el("p", { class: "big" }, lag.behind ? "behind" : "none"), facts([
    ["Why", (lag.reasons || []).join("; ") || null],
    ["Waiting payloads", count(lag.backlog)],
    ["Oldest waits", lag.oldest_received_seconds === null ? null : span(lag.oldest_received_seconds)],
    ["Last payload", lag.seconds_since_last_payload === null ? "none since the start" : span(lag.seconds_since_last_payload) + " ago"],
    ["Stands still", lag.blocked ? lag.blocked.stage + " for " + span(lag.blocked.seconds) : null],
    ["Received", count(process.received)],
  ]));
};

const syncCard = (data) => {
  const { sync, inbox } = data;
  const bad = sync.gaps_given_up || inbox.quarantined;
  const warn = sync.gaps || sync.disagreements || inbox.detached;
  return card("Sync", bad ? "bad" : warn ? "warn" : "", el("p", { class: "big" }, words(sync.state)), facts([
    ["Network", data.network + ", version " + data.version],
    ["Gaps", count(sync.gaps) + (sync.gaps_given_up ? ", " + count(sync.gaps_given_up) + " given up" : "")],
    ["Without parent", count(inbox.detached)],
    ["Quarantined", count(inbox.quarantined)],
    ["Sources disagree", count(sync.disagreements)],
    ["Backfills", sync.backfills.length ? sync.backfills.map((b) => b.source + " at " + count(b.next)).join(", ") : "none"],
    ["Writer", sync.lease ? (sync.lease.held ? "held, epoch " : "free, epoch ") + count(sync.lease.epoch) : "none yet"],
  ]));
};

const invariantCard = (violations) => {
  const broken = Object.entries(violations).filter(([, n]) => n);
  return card("Invariants", broken.length ? "bad" : "good", el("p", { class: "big" }, broken.length ? count(broken.length) + " broken" : "hold"),
    facts(broken.map(([id, n]) => [id, times(n)])));
};

const reorgCard = (reorg) => card("Last fork", reorg?.left_final ? "bad" : "", ...(reorg ? [
  el("p", { class: "big" }, count(reorg.depth) + (reorg.depth === 1 ? " block" : " blocks")),
  facts([["When", ago(reorg.at)], ["Cause", reorg.cause], ["Above", reorg.common_ancestor ? "block " + count(reorg.common_ancestor.height) : null],
    ["Left a final block", reorg.left_final ? "yes" : null]]),
  el("a", { href: "#/forks" }, "All forks"),
] : [empty("None since the mirror began.")]));

const breaksCard = async (signal) => {
  if (!may("operator")) return null;
  const { data } = await ask("/v1/breaks?limit=200", { signal });
  const of = (level) => data.filter(({ severity, state }) => severity === level && state !== "suspected").length;
  const worst = LEVELS.find(([level]) => of(level));
  return card("Breaks", worst ? worst[1] : "good", el("p", { class: "big" }, data.length >= 200 ? "200 or more" : count(data.length)),
    facts([...LEVELS.map(([level]) => [level, count(of(level))]), ["suspected", count(data.filter(({ state }) => state === "suspected").length)]]),
    el("a", { href: "#/breaks" }, "All breaks"));
};

const feed = () => (heard.length ? el("ol", { class: "feed" }, heard.map(({ kind, block, events, topics, at }) => el("li", { class: kind },
  el("time", { class: "dim", datetime: new Date(at).toISOString() }, time(at / 1000).slice(11) + " "),
  badge(kind, kind === "applied" ? "good" : "warn"), " block ", el("b", {}, count(block.height)), " ", el("code", { title: block.index_block_hash }, hash(block.index_block_hash)),
  " ", events === 1 ? "1 event" : count(events) + " events",
  el("span", { class: "dim" }, " " + Object.entries(topics).map(([topic, n]) => (n > 1 ? n + "× " : "") + topic).join(", "))))) : empty("Nothing was told yet. A frame comes with each block."));

const list = async (root) => {
  const cards = el("div", { class: "cards" });
  const frames = el("div");
  root.append(cards, el("h2", {}, "As it happens"), frames);
  let controller = new AbortController();
  let last = 0;
  let timer = 0;
  const read = async () => {
    controller.abort();
    controller = new AbortController();
    const { signal } = controller;
    last = Date.now();
    try {
      const [status, lag, found] = await Promise.all([ask("/v1/status", { signal }), lagOf(signal), breaksCard(signal)]);
      if (signal.aborted) return;
      const { data } = status;
      cards.replaceChildren(...[tipCard(status), lagCard(lag, data.process), syncCard(data), found, reorgCard(data.last_reorg),
        invariantCard(data.process.invariant_violations)].filter(Boolean));
    } catch (error) {
      if (!signal.aborted) cards.replaceChildren(failure(error, read));
    }
  };
  const told = () => {
    frames.replaceChildren(feed());
    clearTimeout(timer);
    timer = setTimeout(read, Math.max(0, last + SOONEST_MS - Date.now()));
  };
  live.addEventListener("applied", told);
  live.addEventListener("retracted", told);
  frames.append(feed());
  const ticking = setInterval(() => { if (!document.hidden && Date.now() - last > EVERY_MS) read(); }, 1000);
  await read();
  return {
    reload: read,
    stop: () => {
      clearInterval(ticking);
      clearTimeout(timer);
      controller.abort();
      live.removeEventListener("applied", told);
      live.removeEventListener("retracted", told);
    },
  };
};

export const overview = { id: "overview", title: "Overview", letter: "o", list };
