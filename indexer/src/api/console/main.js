// The frame: login, sections, what stands at the top, and which list and which detail are shown. The part of the address
// behind `#` says it all: #/section/detail?filters. It never holds a key.
import { ApiError, ask, onRefused } from "./api.js";
import { badge, byId, el, failure, note } from "./dom.js";
import { listen } from "./keys.js";
import { live } from "./live.js";
import { findOut, forget, knownRole, may, remember, secret } from "./session.js";
import { count, span } from "./text.js";
import { access } from "./access.js";
import { breaks } from "./breaks.js";
import { completeness } from "./completeness.js";
import { forks } from "./forks.js";
import { governance } from "./governance.js";
import { mints } from "./mints.js";
import { overview } from "./overview.js";
import { projects } from "./projects.js";
import { treasury } from "./treasury.js";
import { webhooks } from "./webhooks.js";

const SECTIONS = [overview, forks, completeness, projects, breaks, mints, treasury, governance, webhooks, access];
const THEMES = ["auto", "light", "dark"];

let shown = { section: null, query: "", parts: {} };
let opener = null;
let searching = false;

const route = () => {
  const [place, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [section, ...detail] = place.split("/");
  const view = SECTIONS.find(({ id }) => id === section) || overview;
  return { view, detail: detail.length ? decodeURIComponent(detail.join("/")) : null, query };
};

const address = (section, detail, query) =>
  "#/" + section + (detail ? "/" + encodeURIComponent(detail) : "") + (query ? "?" + query : "");

/** Goes somewhere. `query` is an object of filters, or the text of them. */
const go = (section, detail = null, query = "") => {
  const text = typeof query === "string" ? query : new URLSearchParams(query).toString();
  const target = address(section, detail, text);
  if (location.hash === target) draw(true);
  else location.hash = target;
};

const context = (view, query) => ({
  query: new URLSearchParams(query),
  go,
  filter: (values) => go(view.id, null, values),
  open: (detail) => {
    opener = document.activeElement?.dataset?.row ?? detail;
    go(view.id, detail, query);
  },
  reload: () => shown.parts.reload?.(),
});

const refusedRole = (view) =>
  el("div", { class: "failure" }, el("b", {}, "Not with this role"), el("p", {}, "This section wants the role " + view.role + "; yours is " + knownRole() + "."));

const markNav = (view) => {
  for (const link of byId("nav").children) {
    if (link.dataset.section !== view.id) link.removeAttribute("aria-current");
    else {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }
};

const drawSection = async (view, query) => {
  shown.parts.stop?.();
  const parts = {};
  shown = { section: view.id, query, parts };
  document.title = view.title + " – stxworx console";
  markNav(view);
  const main = byId("main");
  main.removeAttribute("aria-busy");
  const body = el("div", { class: "body" });
  const again = el("button", { type: "button", class: "plain", id: "reload", "aria-keyshortcuts": "r", onclick: () => parts.reload?.() }, "Read again");
  main.replaceChildren(el("div", { class: "title" }, el("h1", {}, view.title), again), body);
  if (view.role && !may(view.role)) {
    body.append(refusedRole(view));
    return;
  }
  main.setAttribute("aria-busy", "true");
  try {
    Object.assign(parts, await view.list(body, context(view, query)));
    if (shown.parts !== parts) parts.stop?.();
  } catch (error) {
    body.replaceChildren(failure(error, () => drawSection(view, query)));
  } finally {
    if (shown.parts === parts) main.removeAttribute("aria-busy");
  }
};

const drawDetail = async (view, detail, query) => {
  const aside = byId("detail");
  if (detail === null || !view.detail || (view.role && !may(view.role))) {
    const was = !aside.hidden;
    aside.hidden = true;
    aside.replaceChildren();
    document.body.classList.remove("opened");
    if (was && opener !== null) focusRow(opener);
    return;
  }
  const body = el("div", { class: "body" });
  const close = el("button", { type: "button", class: "plain", "aria-keyshortcuts": "Escape", onclick: () => go(view.id, null, query) }, "Close");
  const title = el("h2", { tabindex: -1 }, "…");
  aside.replaceChildren(el("div", { class: "title" }, title, close), body);
  aside.hidden = false;
  aside.scrollTop = 0;
  document.body.classList.add("opened");
  title.focus({ preventScroll: true });
  const again = () => drawDetail(view, detail, query);
  body.setAttribute("aria-busy", "true");
  try {
    await view.detail(body, { ...context(view, query), title: (text) => { title.textContent = text; }, again, list: () => shown.parts.reload?.() }, detail);
  } catch (error) {
    if (error.name !== "AbortError") body.append(failure(error, again));
  } finally {
    body.removeAttribute("aria-busy");
  }
};

const focusRow = (id) => {
  const row = [...byId("main").querySelectorAll("[data-row]")].find((one) => one.dataset.row === id);
  (row || byId("main")).focus({ preventScroll: !row });
};

const draw = async (force = false) => {
  if (!secret() || !knownRole()) return;
  const { view, detail, query } = route();
  const same = shown.section === view.id && shown.query === query;
  const drawn = same && !force ? null : drawSection(view, query);
  if (!same && detail === null) byId("main").focus({ preventScroll: true });
  if (drawn && detail === null) opener = null;
  await Promise.all([drawn, drawDetail(view, detail, query)]);
  if (searching) {
    searching = false;
    search();
  }
};

const search = () => {
  const input = byId("main").querySelector("[data-search]");
  if (input) {
    input.focus();
    input.select?.();
  } else {
    searching = true;
    go(projects.id);
  }
};

const theme = (next) => {
  const root = document.documentElement;
  const now = root.dataset.theme || "auto";
  const wanted = next ?? THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  root.dataset.theme = wanted;
  byId("theme").textContent = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" }[wanted];
  localStorage.setItem("stxworx.theme", wanted);
};

// What stands at the top.

let tip = null;
let heardAt = 0;

const drawStanding = () => {
  const words = { open: ["live", "good"], connecting: ["connecting", "warn"], cut: ["stream cut", "bad"], closed: ["not followed", ""] }[live.state];
  const state = badge(...words);
  state.id = "stream-state";
  state.title = live.reason;
  const cut = live.state === "cut" && live.reason ? el("span", { class: "reason" }, live.reason) : null;
  const silent = tip && heardAt ? (Date.now() - heardAt) / 1000 : null;
  byId("standing").replaceChildren(
    ...(tip ? [el("span", {}, "Block ", el("b", { id: "tip" }, count(tip.height))), el("span", { class: "wide" }, "Bitcoin ", el("b", {}, count(tip.burn_block_height)))] : []),
    ...(silent === null ? [] : [el("span", { class: "wide", id: "since" }, "heard " + span(silent) + " ago")]),
    state, ...(cut ? [cut] : []));
};

const listenToStream = () => {
  let said = "";
  live.addEventListener("state", () => {
    drawStanding();
    if (live.state !== said && ["cut", "open"].includes(live.state)) {
      if (live.state === "cut") note("The stream is cut: " + live.reason, "bad");
      else if (said === "cut") note("The stream goes on.", "good");
      said = live.state;
    }
  });
  const take = (block) => {
    tip = block;
    heardAt = Date.now();
    drawStanding();
  };
  live.addEventListener("hello", ({ detail }) => { if (detail.as_of) take(detail.as_of); });
  live.addEventListener("applied", ({ detail }) => { if (detail.last) take(detail.block); });
  live.addEventListener("retracted", () => { heardAt = Date.now(); });
  live.addEventListener("anew", () => { note("The mirror was made anew: everything is read again."); draw(true); });
  setInterval(() => { if (!document.hidden) drawStanding(); }, 1000);
};

// Login.

const enter = async () => {
  const name = await findOut(ask);
  byId("nav").hidden = false;
  byId("leave").hidden = false;
  byId("who").textContent = name + ", " + knownRole();
  byId("nav").replaceChildren(...SECTIONS.map(({ id, title, letter, role }) =>
    el("a", { href: "#/" + id, "data-section": id, "aria-keyshortcuts": "g " + letter, class: role && !may(role) ? "closed" : null },
      title, el("kbd", { "aria-hidden": "true" }, "g " + letter))));
  live.start();
  await draw(true);
};

const leave = (error) => {
  const had = Boolean(secret());
  forget();
  live.stop();
  tip = null;
  drawStanding();
  shown.parts.stop?.();
  shown = { section: null, query: "", parts: {} };
  byId("nav").hidden = true;
  byId("leave").hidden = true;
  byId("who").textContent = "";
  byId("detail").hidden = true;
  byId("detail").replaceChildren();
  document.body.classList.remove("opened");
  login(error && had ? error : null);
};

const login = (error) => {
  document.title = "Log in – stxworx console";
  const input = el("input", { id: "key", type: "password", required: true, autocomplete: "off", spellcheck: "false", "aria-describedby": "key-means", maxlength: 8192 });
  const wrong = el("div", {}, error ? failure(error) : null);
  const send = el("button", { class: "strong" }, "Log in");
  const submit = async (event) => {
    event.preventDefault();
    const text = input.value.trim();
    // A header takes nothing else, and a key or token has nothing else.
    if (!/^[\x21-\x7e]+$/.test(text)) {
      wrong.replaceChildren(failure(new ApiError("a key or a token has no spaces and only plain letters, digits and signs")));
      return;
    }
    send.disabled = true;
    wrong.replaceChildren();
    remember(text);
    try {
      await enter();
    } catch (failed) {
      forget();
      if (byId("key")) {
        wrong.replaceChildren(failure(failed));
        send.disabled = false;
        input.select();
      } else login(failed);
    }
  };
  byId("main").replaceChildren(el("form", { class: "login", onsubmit: submit, "aria-labelledby": "login-title" },
    el("h1", { id: "login-title" }, "Log in"),
    el("label", { for: "key" }, el("span", {}, "Key or token"), input),
    el("small", { id: "key-means" }, "A key of the API, or a signed token. It stays in this tab until it is closed."),
    wrong, send,
    el("p", {}, "An operator's key is made with ", el("code", {}, "stxworx keys create --name NAME --role operator"), ".")));
  input.focus();
};

// A key outlives a service that cannot be reached.
const again = async () => {
  try {
    await enter();
  } catch (error) {
    if (error.status === 401) leave(error);
    else byId("main").replaceChildren(failure(error, again));
  }
};

const begin = async () => {
  theme(THEMES.includes(localStorage.getItem("stxworx.theme")) ? localStorage.getItem("stxworx.theme") : "auto");
  byId("theme").addEventListener("click", () => theme());
  byId("leave").addEventListener("click", () => leave(null));
  byId("skip").addEventListener("click", (event) => { event.preventDefault(); byId("main").focus(); });
  listenToStream();
  drawStanding();
  // A key that is refused while the login is open is that form's matter.
  onRefused((error) => { if (knownRole()) leave(error); });
  listen(SECTIONS, {
    go: (section) => { if (knownRole()) go(section); },
    search: () => { if (knownRole()) search(); },
    reload: () => shown.parts.reload?.(),
    more: () => shown.parts.more?.(),
    theme: () => theme(),
    close: () => {
      const { view, detail, query } = route();
      if (detail !== null) go(view.id, null, query);
    },
  });
  window.addEventListener("hashchange", () => draw());
  if (secret()) await again();
  else login(null);
};

begin();
