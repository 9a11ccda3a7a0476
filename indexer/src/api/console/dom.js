// Makes elements. Whatever comes from an answer goes in as text: nothing here, and nothing elsewhere, parses markup.

const SVG = "http://www.w3.org/2000/svg";

const put = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
};

/** An element; attributes that begin with `on` are listeners. */
export const el = (tag, attributes, ...children) => put(document.createElement(tag), attributes, children);

/** An element of a drawing. */
export const svg = (tag, attributes, ...children) => put(document.createElementNS(SVG, tag), attributes, children);

export const byId = (id) => document.getElementById(id);

let noted = 0;

/** Tells a person something for a while; screen readers say it. `kind` is `good`, `bad` or nothing. */
export const note = (text, kind = "") => {
  const close = el("button", { type: "button", class: "plain", "aria-label": "Close this note", onclick: () => box.remove() }, "×");
  const box = el("div", { class: "note " + kind, id: "note-" + ++noted }, el("span", {}, text), close);
  const notes = byId("notes");
  notes.append(box);
  while (notes.childElementCount > 4) notes.firstElementChild.remove();
  setTimeout(() => box.remove(), kind === "bad" ? 20000 : 8000);
};

/** Names and values, one below the other. */
export const facts = (pairs) =>
  el("dl", { class: "facts" }, pairs.filter((pair) => pair && pair[1] !== null && pair[1] !== undefined && pair[1] !== "")
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));

/** A word with a colour that says how bad it is: `good`, `warn`, `bad` or nothing. The word alone says it, too. */
export const badge = (word, kind = "") => el("span", { class: "badge " + kind }, word);

/** JSON as text, as deep as it is. */
export const json = (value, label) =>
  el("pre", { class: "json", tabindex: 0, "aria-label": label }, JSON.stringify(compact(value), null, 2));

// Bytes come as lists of numbers; hexadecimal says the same in less room.
const compact = (value) => {
  if (Array.isArray(value)) {
    const bytes = value.length >= 16 && value.every((n) => Number.isInteger(n) && n >= 0 && n < 256);
    if (bytes) return "0x" + value.map((n) => n.toString(16).padStart(2, "0")).join("");
    return value.map(compact);
  }
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, compact(inner)]));
  }
  return value;
};

/** What is shown while nothing is there yet, or nothing at all. */
export const empty = (text) => el("p", { class: "empty" }, text);

/** An error as a person needs it: what happened, the request's id, and a way to try again. */
export const failure = (error, again) => {
  const problem = error.problem || {};
  return el("div", { class: "failure", role: "alert" },
    el("b", {}, problem.title || "The request failed"),
    el("p", {}, error.message),
    error.requestId ? el("p", {}, "Request ", el("code", { class: "request-id" }, error.requestId)) : null,
    again ? el("button", { type: "button", onclick: again }, "Try again") : null);
};
