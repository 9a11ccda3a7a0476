// What the DAO earned and spent: sums, a chart per asset (amounts of different assets have no common axis), fees.
import { ask, path } from "./api.js";
import { el, empty, facts, svg } from "./dom.js";
import { filters } from "./forms.js";
import { List } from "./list.js";
import { decimals } from "./projects.js";
import { amount, asset, capital, count, hash, principal, time, times, words } from "./text.js";

const WIDTH = 720;
const HEIGHT = 220;
const LEFT = 92;
const BOTTOM = 24;
const TOP = 12;
const DAY_MS = 86400000;

const kept = ({ fees, spent }) => String(BigInt(fees) - BigInt(spent));

const card = (of) => (one) => {
  const show = (units) => amount(units, of(one.asset)) + " " + asset(one.asset);
  return el("section", { class: "card", "aria-label": asset(one.asset) }, el("h2", { title: one.treasury }, asset(one.asset)), el("p", { class: "big" }, show(kept(one))), facts([
    ["Fees", show(one.fees) + ", " + times(one.fee_count)],
    ["Spent", show(one.spent) + ", " + times(one.spend_count)],
    ["Budget", one.budget ? show(one.budget.amount) + " in " + count(one.budget.period) + " Bitcoin blocks" : null],
    ["Treasury", el("span", { title: one.treasury, class: "mono" }, principal(one.treasury))],
    ["Changed in block", one.changed ? count(one.changed.height) + ", " + words(one.changed.finality) : null],
  ]));
};

/** The smallest of 1, 2, 5, 10, … that is not below `units`. */
const nice = (units) => {
  let step = 1n;
  for (;;) {
    for (const factor of [1n, 2n, 5n]) if (step * factor >= units) return step * factor;
    step *= 10n;
  }
};

const days = (from, to) => {
  const all = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) all.push(new Date(at).toISOString().slice(0, 10));
  return all;
};

/** Bars of one asset, a day each. Every bar has its text, and the table below has all of them. */
const chart = (series, id, figures, from, to, of) => {
  const byDay = new Map(figures.map(({ day, value }) => [day, BigInt(value)]));
  const all = days(from, to);
  const most = [...byDay.values()].reduce((a, b) => (a > b ? a : b), 0n);
  const top = nice(most > 0n ? most : 1n);
  const plot = HEIGHT - TOP - BOTTOM;
  // Only the height of a bar is a floating number; the amounts are not.
  const tall = (value) => (Number((value * 10000n) / top) / 10000) * plot;
  const step = (WIDTH - LEFT - 8) / all.length;
  const show = (units) => amount(String(units), of(id));
  const lines = [0n, top / 2n, top].filter((value, i, list) => list.indexOf(value) === i);
  const each = Math.ceil(all.length / 6);
  const sum = [...byDay.values()].reduce((a, b) => a + b, 0n);
  const label = capital(words(series)) + " per day in " + asset(id) + ", " + from + " to " + to + ": " + show(sum) + " in all, " + show(most) + " on the best day";
  return el("figure", { class: "chart" }, el("figcaption", {}, el("b", {}, asset(id)), " per day; in all " + show(sum)),
    svg("svg", { viewBox: "0 0 " + WIDTH + " " + HEIGHT, role: "img", "aria-label": label },
      lines.map((value) => {
        const y = TOP + plot - tall(value);
        return [svg("line", { class: value ? "grid" : "axis", x1: LEFT, x2: WIDTH - 8, y1: y, y2: y }), svg("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, show(value))];
      }),
      all.map((day, i) => {
        const value = byDay.get(day);
        const x = LEFT + i * step;
        const height = value ? Math.max(tall(value), 1) : 0;
        const text = i % each === 0 && i < all.length - each / 2 ? svg("text", { x: x + step / 2, y: HEIGHT - 6, "text-anchor": i ? "middle" : "start" }, day.slice(5)) : null;
        return [svg("g", { class: "bar" }, svg("title", {}, day + ": " + show(value ?? 0n) + " " + asset(id)),
          svg("rect", { class: "hit", x, y: TOP, width: step, height: plot }),
          height ? svg("rect", { class: "value", x: x + step * 0.12, y: TOP + plot - height, width: Math.max(step * 0.76, 1), height, rx: Math.min(2, step / 4) }) : null), text];
      })),
    el("details", {}, el("summary", {}, "As a table"), el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Day"), el("th", { scope: "col", class: "number" }, asset(id)))),
      el("tbody", {}, all.filter((day) => byDay.has(day)).map((day) => el("tr", {}, el("th", { scope: "row" }, day), el("td", { class: "number" }, show(byDay.get(day)))))))));
};

const range = (asOf, span) => {
  const to = new Date((asOf?.time ?? Date.now() / 1000) * 1000);
  return { from: new Date(to - (span - 1) * DAY_MS).toISOString().slice(0, 10), to: to.toISOString().slice(0, 10) };
};

const SERIES = ["fees", "volume", "deposited", "refunded"];

const list = async (root, { query, filter }) => {
  const of = await decimals();
  const span = Number(query.get("days")) || 30;
  const series = SERIES.includes(query.get("series")) ? query.get("series") : "fees";
  const top = el("div", { class: "cards" });
  const charts = el("div", { class: "charts" });
  const fees = new List({
    label: "Fees, the newest first",
    none: "No fee was taken yet.",
    name: ({ txid, ordinal }) => txid + "." + ordinal,
    read: (cursor, signal) => ask(path("/v1/treasury/fees", { limit: 50, cursor }), { signal }),
    columns: [
      { title: "Fee", cell: ({ fee, asset: id }) => amount(fee, of(id)) + " " + asset(id), kind: "number" },
      { title: "When", cell: ({ time: at }) => time(at), kind: "time" },
      { title: "Block", cell: ({ height }) => count(height), kind: "number" },
      { title: "Project", cell: ({ project, contract, m }) => [el("a", { href: "#/projects/" + encodeURIComponent(contract + "/" + project) }, count(project)), " no. " + count(m)] },
      { title: "Of", cell: ({ amount: units, asset: id }) => amount(units, of(id)), kind: "number" },
      { title: "Cause", cell: ({ cause }) => words(cause) },
      { title: "Transaction", cell: ({ txid }) => el("code", { title: txid }, hash(txid)) },
      { title: "Finality", cell: ({ finality }) => words(finality) },
    ],
  });
  const read = async () => {
    const answer = await ask("/v1/treasury?limit=200");
    top.replaceChildren(...(answer.data.length ? answer.data.map(card(of)) : [empty("No treasury is mirrored yet.")]));
    const { from, to } = range(answer.as_of, span);
    const { data } = await ask(path("/v1/stats/" + series, { from, to }));
    const ids = [...new Set(data.figures.map(({ key }) => key))].sort();
    charts.replaceChildren(...(ids.length ? ids.map((id) => chart(series, id, data.figures.filter(({ key }) => key === id), data.from, data.to, of)) : [empty("No figures in these days.")]));
  };
  root.append(top, el("h2", {}, capital(words(series)) + " per day"), filters([
    { name: "days", label: "Days", options: [["", "30"], "7", "90", "365"] },
    { name: "series", label: "Figures", options: [["", "fees"], "volume", "deposited", "refunded"] },
  ], query, filter), charts, el("h2", {}, "Fees"), fees.node);
  await Promise.all([read(), fees.load()]);
  return { reload: () => Promise.all([read(), fees.load()]), more: () => fees.more() };
};

export const treasury = { id: "treasury", title: "Treasury", letter: "t", list };
