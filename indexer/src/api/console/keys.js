// The keyboard. Keys are left alone while somebody writes, or holds a modifier.
import { byId, el } from "./dom.js";

let sections = [];
let actions = {};
let waiting = 0;

const writes = (target) => target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));

const rows = () => {
  const inside = byId("detail").contains(document.activeElement) ? byId("detail") : byId("main");
  const found = [...inside.querySelectorAll("[data-row]")];
  return found.length ? found : [...byId("main").querySelectorAll("[data-row]")];
};

const move = (step) => {
  const all = rows();
  if (!all.length) return;
  const here = all.indexOf(document.activeElement);
  const next = here < 0 ? 0 : Math.min(Math.max(here + step, 0), all.length - 1);
  all[next].focus();
  all[next].closest("tr")?.scrollIntoView({ block: "nearest" });
};

const unfold = () => {
  const folded = document.activeElement.querySelector("details");
  if (folded) folded.open = !folded.open;
};

const pressed = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  if (writes(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const second = Date.now() < waiting;
  waiting = 0;
  if (second) {
    const section = sections.find(({ letter }) => letter === event.key);
    if (section) {
      event.preventDefault();
      actions.go(section.id);
      return;
    }
  }
  const does = {
    g: () => { waiting = Date.now() + 1500; },
    j: () => move(1),
    k: () => move(-1),
    "/": actions.search,
    "?": () => byId("keys").showModal(),
    r: actions.reload,
    n: actions.more,
    t: actions.theme,
    Escape: actions.close,
    // A row that opens nowhere may have something folded in it. Those that open are buttons: Enter is theirs.
    Enter: document.activeElement?.matches("span.row") ? unfold : null,
  }[event.key];
  if (does) {
    event.preventDefault();
    does();
  }
};

/** Begins to listen. `actions` has go, search, reload, more, theme and close. */
export const listen = (allSections, what) => {
  sections = allSections;
  actions = what;
  const lines = [
    ["/", "search"], ["j  k", "next and previous row"], ["Enter", "open the row"], ["Esc", "close what is open"],
    ["n", "next page"], ["r", "read again"], ["t", "light, dark, or as the system"], ["?", "these keys"],
    ...sections.map(({ letter, title }) => ["g " + letter, title]),
  ];
  byId("keys").replaceChildren(
    el("h2", { id: "keys-title" }, "Keys"),
    el("dl", { class: "keys" }, lines.map(([keys, meaning]) => [
      el("dt", {}, keys.split(" ").filter(Boolean).map((key) => el("kbd", {}, key))), el("dd", {}, meaning)])),
    el("button", { type: "button", onclick: () => byId("keys").close() }, "Close"));
  byId("help").addEventListener("click", () => byId("keys").showModal());
  document.addEventListener("keydown", pressed);
};
