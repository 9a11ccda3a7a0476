// A list of rows, read page by page, that the keyboard walks through.
import { el, empty, failure, note } from "./dom.js";
import { count } from "./text.js";

/** What an answer stands on, in words. */
export const standsOn = (asOf) => (asOf ? "as of block " + count(asOf.height) + ", " + asOf.finality : "");

/**
 * `columns`: [{ title, cell(row), kind }]; the first one names the row and opens it.
 * `read(cursor, signal)` answers a page; `open(row)` shows a row, if rows can be opened; `name(row)` is its identity;
 * `loaded(rows)` may add words to what stands below the list.
 */
export class List {
  #options;
  #rows = [];
  #cursor = null;
  #controller = null;
  #body = el("tbody");
  #state = el("p", { class: "state", role: "status" });
  #more = el("button", { type: "button", hidden: true, "aria-keyshortcuts": "n", onclick: () => this.more() }, "Next page");
  #place = el("div");

  constructor(options) {
    this.#options = options;
    const { columns, label } = options;
    const head = el("thead", {}, el("tr", {}, columns.map(({ title, kind }) => el("th", { scope: "col", class: kind }, title))));
    this.table = el("table", { class: "list" }, el("caption", { class: "unseen" }, label), head, this.#body);
    this.node = el("section", { class: "list-box", "aria-label": label }, el("div", { class: "scroll" }, this.table), this.#place, el("div", { class: "below" }, this.#more, this.#state));
  }

  /** Reads the first page. */
  async load() {
    this.#cursor = null;
    return this.#read(true);
  }

  /** Reads the next page, if there is one. */
  async more() {
    if (this.#cursor) await this.#read(false);
  }

  get hasMore() { return Boolean(this.#cursor); }

  /** The cut of a walk, to be seen in a test as well: a fork ends it, and it begins anew. */
  async #read(first) {
    this.#controller?.abort();
    const { signal } = (this.#controller = new AbortController());
    this.table.setAttribute("aria-busy", "true");
    this.#state.textContent = "Reading…";
    try {
      const page = await this.#options.read(first ? null : this.#cursor, signal);
      if (first) this.#rows = [];
      this.#rows.push(...page.data);
      this.#cursor = page.next_cursor || null;
      this.#draw(first, page.data);
      const rows = this.#rows.length === 1 ? "1 row" : count(this.#rows.length) + " rows";
      const more = this.#options.loaded?.(this.#rows, page);
      this.#state.textContent = [rows + (this.#cursor ? ", and more" : ""), standsOn(page.as_of), more].filter(Boolean).join(", ");
      this.#place.replaceChildren(...(this.#rows.length ? [] : [empty(this.#options.none || "Nothing is here.")]));
    } catch (error) {
      if (signal.aborted) return;
      if (error.code === "fork_changed" && !first) {
        const ancestor = error.problem.common_ancestor;
        note("The chain switched to another fork" + (ancestor ? " above block " + count(ancestor.height) : "") + ": the list begins anew.");
        this.#cursor = null;
        return this.#read(true);
      }
      this.#state.textContent = "";
      this.#place.replaceChildren(failure(error, () => this.#read(first)));
    } finally {
      if (!signal.aborted) {
        this.table.removeAttribute("aria-busy");
        this.#more.hidden = !this.#cursor;
      }
    }
  }

  #draw(first, added) {
    const held = this.#body.contains(document.activeElement) ? document.activeElement.dataset.row : null;
    const lines = added.map((row) => this.#line(row));
    if (first) this.#body.replaceChildren(...lines);
    else {
      this.#body.append(...lines);
      lines[0]?.querySelector("[data-row]")?.focus();
    }
    if (first && held) this.focus(held);
  }

  #line(row) {
    const { columns, name, open } = this.#options;
    const id = String(name(row));
    const cells = columns.map(({ title, cell, kind }, i) => {
      const content = cell(row);
      if (i) return el("td", { class: kind, "data-label": title }, content);
      const opener = open
        ? el("button", { type: "button", class: "row", "data-row": id, onclick: () => open(row) }, content)
        : el("span", { class: "row", "data-row": id, tabindex: 0 }, content);
      return el("th", { scope: "row", class: kind, "data-label": title }, opener);
    });
    const click = (event) => {
      // The whole line opens, unless something in it was meant, or text is being selected.
      if (open && !event.target.closest("button, a, input") && !String(getSelection())) open(row);
    };
    return el("tr", { class: open ? "opens" : null, onclick: click }, cells);
  }

  /** Puts the focus on a row. */
  focus(id) {
    for (const opener of this.#body.querySelectorAll("[data-row]")) if (opener.dataset.row === id) opener.focus();
  }
}
