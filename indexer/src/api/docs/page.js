"use strict";
// Renders /v1/openapi.json. All text goes in through textContent: the document is data, not markup.
const el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  for (const child of children.flat()) if (child !== null) node.append(child);
  return node;
};
const prose = (text) => (text || "").split(/`([^`]*)`/).map((part, i) => (i % 2 ? el("code", {}, part) : part));
const schemaName = (ref) => ref.split("/").pop();
const meaning = (schema) => schema.description || (schema.oneOf || []).map((one) => one.description).find(Boolean);
const anchor = (name) => "schema-" + name;

const typeOf = (schema) => {
  if (!schema) return ["any"];
  if (schema.$ref) return [el("a", { href: "#" + anchor(schemaName(schema.$ref)) }, schemaName(schema.$ref))];
  const either = schema.oneOf || schema.anyOf || schema.allOf;
  if (either) return either.flatMap((one, i) => [...(i ? [" or "] : []), ...typeOf(one)]);
  if (schema.type === "array") return ["list of ", ...typeOf(schema.items)];
  const types = [schema.type || "any"].flat().join(" or ");
  return [schema.enum ? schema.enum.map((word) => JSON.stringify(word)).join(", ") : types];
};

const table = (head, rows) =>
  el("table", {}, el("thead", {}, el("tr", {}, head.map((text) => el("th", {}, text)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell))))));

const limits = (schema) => {
  const words = [];
  if (schema.minimum !== undefined) words.push("from " + schema.minimum);
  if (schema.maximum !== undefined) words.push("to " + schema.maximum);
  if (schema.default !== undefined) words.push("default " + schema.default);
  return words.length ? " (" + words.join(" ") + ")" : "";
};

const operation = (path, method, op) => {
  const parameters = (op.parameters || []).map((p) => [
    el("code", {}, p.name), [p.in, p.required ? ", required" : "", limits(p.schema || {})].join(""),
    prose(p.description),
  ]);
  const responses = Object.entries(op.responses || {}).map(([status, response]) => {
    const content = Object.values(response.content || {})[0];
    return [status, prose(response.description), content ? typeOf(content.schema) : ["—"]];
  });
  return [
    el("h3", { id: op.operationId }, method.toUpperCase() + " " + path),
    el("p", {}, prose([op.summary, op.description].filter(Boolean).join(" "))),
    parameters.length ? table(["Parameter", "Where", "Meaning"], parameters) : null,
    table(["Status", "Meaning", "Body"], responses),
  ];
};

const schemaSection = (name, schema) => {
  const parts = [el("h3", { id: anchor(name) }, name), el("p", {}, prose(schema.description))];
  if (schema.properties) {
    parts.push(table(["Field", "Type", "Meaning"], Object.entries(schema.properties).map(([field, s]) =>
      [el("code", {}, field), typeOf(s), prose(meaning(s))])));
  } else if (schema.oneOf) {
    parts.push(table(["Value", "Meaning"], schema.oneOf.map((s) => [typeOf(s), prose(s.description)])));
  } else {
    parts.push(el("p", {}, typeOf(schema)));
    // Problems name their code as a place on this page.
    if (name === "ErrorCode") parts.push(...schema.enum.map((code) => el("span", { id: code })));
  }
  return parts;
};

const render = (document_) => {
  const main = document.getElementById("main");
  const nav = document.getElementById("nav");
  main.replaceChildren(el("h1", {}, document_.info.title + " API"), el("p", {}, prose(document_.info.description)),
    el("p", {}, el("a", { href: "/v1/openapi.json" }, "openapi.json"), " " + document_.info.version + ", ",
      el("a", { href: "/console" }, "console")));
  for (const tag of document_.tags || []) {
    main.append(el("h2", {}, tag.description || tag.name));
    nav.append(el("b", {}, tag.description || tag.name));
    for (const [path, item] of Object.entries(document_.paths)) {
      for (const [method, op] of Object.entries(item)) {
        if (!(op.tags || []).includes(tag.name)) continue;
        nav.append(el("a", { href: "#" + op.operationId }, path));
        main.append(...operation(path, method, op).filter(Boolean));
      }
    }
  }
  main.append(el("h2", {}, "Shapes"));
  nav.append(el("b", {}, "Shapes"));
  for (const [name, schema] of Object.entries(document_.components.schemas)) {
    nav.append(el("a", { href: "#" + anchor(name) }, name));
    main.append(...schemaSection(name, schema));
  }
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
};

fetch("/v1/openapi.json").then((response) => response.json()).then(render, (error) => {
  document.getElementById("main").replaceChildren(el("p", {}, "The description cannot be loaded: " + error));
});
