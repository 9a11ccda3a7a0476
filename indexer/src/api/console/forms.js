// Filters, and forms of actions. An action is drawn when the service's description has its route, with the fields that
// the description names, so that the console never offers what this service does not do.
import { ask, description } from "./api.js";
import { el, failure, note } from "./dom.js";
import { capital, words } from "./text.js";

/** A row of filters. `fields`: [{ name, label, options, type, hint }]. `apply(values)` is called when they change. */
export const filters = (fields, values, apply) => {
  const inputs = fields.map(({ name, label, options, type = "text", hint }) => {
    const id = "filter-" + name;
    const value = values.get(name) ?? "";
    const known = options?.some((option) => (option[0] ?? option) === value);
    const input = options
      ? el("select", { id, name }, ...options.map((option) => {
        const [word, title] = Array.isArray(option) ? option : [option, words(option) || "any"];
        return el("option", { value: word, selected: word === value }, title);
      }), value && !known ? el("option", { value, selected: true }, value) : null)
      : el("input", { id, name, type, value, placeholder: hint, autocomplete: "off", spellcheck: "false", maxlength: 200 });
    if (name === fields[0].name) input.dataset.search = "";
    return el("label", { for: id }, el("span", {}, label), input);
  });
  const read = (event) => {
    event.preventDefault();
    const given = new FormData(form);
    apply(Object.fromEntries([...given].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value)));
  };
  const clear = el("button", { type: "button", class: "plain", onclick: () => apply({}) }, "Clear");
  const form = el("form", { class: "filters", role: "search", onsubmit: read }, inputs, el("button", {}, "Apply"), clear);
  form.addEventListener("change", (event) => { if (event.target.tagName === "SELECT") read(event); });
  return form;
};

const resolved = (document_, schema) => {
  if (!schema) return {};
  if (schema.$ref) return resolved(document_, schema.$ref.slice(2).split("/").reduce((at, name) => at?.[name], document_));
  const either = (schema.oneOf || schema.anyOf)?.filter((one) => one.type !== "null");
  if (either?.length === 1) return { ...resolved(document_, either[0]), description: schema.description ?? either[0].description };
  if (schema.allOf) {
    const parts = schema.allOf.map((part) => resolved(document_, part));
    return { type: "object", properties: Object.assign({}, ...parts.map((p) => p.properties)), required: parts.flatMap((p) => p.required || []) };
  }
  return schema;
};

/** The fields of a list's rows by the description, with what they mean. */
export const rowFields = (document_, route) => {
  const answer = resolved(document_, document_.paths[route]?.get?.responses?.["200"]?.content?.["application/json"]?.schema);
  const item = resolved(document_, resolved(document_, answer.properties?.data).items);
  return Object.entries(item.properties || {}).map(([name, schema]) => ({ name, schema: resolved(document_, schema) }));
};

/** The fields that a list can be filtered by, for `filters`. */
export const filterFields = (document_, route) =>
  (document_.paths[route]?.get?.parameters || [])
    .filter((p) => p.in === "query" && !["limit", "cursor"].includes(p.name))
    .map((p) => {
      const schema = resolved(document_, p.schema);
      return { name: p.name, label: capital(words(p.name)), options: schema.enum ? ["", ...schema.enum] : undefined };
    });

const UNITS = [["86400", "days"], ["3600", "hours"], ["60", "minutes"], ["1", "seconds"]];
const isDuration = (name, schema) => /^(for_s|for_seconds|.*_in_seconds)$/.test(name) && [schema.type].flat().includes("integer");
const isMoment = (name, schema) => schema.format === "date-time" || (/^(until|expires)(_at)?(_s)?$/.test(name) && [schema.type].flat().includes("integer"));

const field = (name, schema, required) => {
  const id = "field-" + name;
  const types = [schema.type].flat();
  const common = { id, name, required, "aria-describedby": schema.description ? id + "-means" : null };
  let input;
  if (schema.enum) input = el("select", common, required ? null : el("option", { value: "" }, "—"), schema.enum.map((word) => el("option", { value: word }, word)));
  else if (types.includes("boolean")) input = el("input", { ...common, required: false, type: "checkbox" });
  else if (isMoment(name, schema)) input = el("input", { ...common, type: "datetime-local" });
  else if (isDuration(name, schema)) {
    input = el("span", { class: "duration" }, el("input", { ...common, type: "number", min: 1, step: 1 }),
      el("select", { name: name + "-unit", "aria-label": "Unit" }, UNITS.map(([seconds, unit]) => el("option", { value: seconds }, unit))));
  } else if (types.includes("integer") || types.includes("number")) input = el("input", { ...common, type: "number", min: schema.minimum, max: schema.maximum, step: 1 });
  else if (/note|reason|why|comment/.test(name)) input = el("textarea", { ...common, rows: 3, minlength: schema.minLength, maxlength: schema.maxLength || 2000 });
  else input = el("input", { ...common, type: "text", maxlength: schema.maxLength || 400, autocomplete: "off" });
  const means = schema.description ? el("small", { id: id + "-means" }, schema.description.split("\n\n")[0]) : null;
  const title = capital(words(isDuration(name, schema) ? name.replace(/_s(econds)?$/, "") : name));
  return el("label", { for: id }, el("span", {}, title, isMoment(name, schema) ? " (your clock)" : ""), input, means);
};

const valueOf = (input, name, schema) => {
  const types = [schema.type].flat();
  if (input.type === "checkbox") return input.checked;
  if (input.value === "") return undefined;
  if (input.type === "datetime-local") {
    const at = new Date(input.value);
    return types.includes("integer") ? Math.floor(at.getTime() / 1000) : at.toISOString();
  }
  if (!types.includes("integer") && !types.includes("number")) return input.value;
  const unit = isDuration(name, schema) ? Number(input.form.elements[name + "-unit"].value) : 1;
  return Number(input.value) * unit;
};

/** The field of a body that can have one value only, which says what is wanted. */
const tagOf = (schema) => Object.entries(schema.properties || {}).find(([, value]) => value.enum?.length === 1);

/** What a route does: one thing, or as many as its body has forms that a tag tells apart. */
const thingsOf = (document_, name, route, operation) => {
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const whole = resolved(document_, body);
  const forms = (whole.oneOf || whole.anyOf || []).map((one) => resolved(document_, one));
  const means = operation.summary || operation.description || "";
  if (!forms.length || !forms.every(tagOf)) return [{ name, route, means, schema: body ? whole : null, fixed: {} }];
  return forms.map((schema) => {
    const [field, { enum: [value] }] = tagOf(schema);
    return { name: value, route, means: schema.description || means, schema, fixed: { [field]: value } };
  });
};

/**
 * Buttons for what may be done to one thing: every POST below `prefix`, for instance `/v1/breaks/{id}`. Each opens its
 * form; one without fields asks to confirm. `fits(action)` leaves out what makes no sense now; `done` follows a success.
 */
export const actions = async (prefix, id, fits, done) => {
  const document_ = await description();
  const found = Object.entries(document_.paths)
    .filter(([route, item]) => route.startsWith(prefix + "/") && !route.slice(prefix.length + 1).includes("/") && item.post)
    .flatMap(([route, item]) => thingsOf(document_, route.slice(prefix.length + 1), route, item.post))
    .filter(({ name }) => fits(name));
  if (!found.length) return null;
  const place = el("div");
  const buttons = found.map((action) => el("button", {
    type: "button", "data-action": action.name, "aria-expanded": "false",
    onclick: (event) => {
      const open = event.target.getAttribute("aria-expanded") === "true";
      for (const button of buttons) button.setAttribute("aria-expanded", "false");
      if (open) { place.replaceChildren(); return; }
      event.target.setAttribute("aria-expanded", "true");
      place.replaceChildren(actionForm(document_, action, id, done));
      place.querySelector("input, textarea, select, button")?.focus();
    },
  }, capital(words(action.name))));
  return el("section", { class: "actions", "aria-label": "Actions" }, el("div", { class: "buttons" }, buttons), place);
};

const actionForm = (document_, { name, route, means, schema, fixed }, id, done) => {
  const properties = Object.entries(schema?.properties || {}).filter(([key]) => !(key in fixed)).map(([key, value]) => [key, resolved(document_, value)]);
  const required = schema?.required || [];
  const wrong = el("div");
  const send = el("button", { class: "strong", "data-send": name }, "Do it: " + words(name));
  const submit = async (event) => {
    event.preventDefault();
    send.disabled = true;
    wrong.replaceChildren();
    const given = properties.map(([key, value]) => [key, valueOf(form.elements[key], key, value)]).filter(([, value]) => value !== undefined);
    try {
      const body = schema ? { ...fixed, ...Object.fromEntries(given) } : undefined;
      await ask(route.replace(/\{[^}]+\}/, encodeURIComponent(id)), { method: "POST", body });
      note(capital(words(name)) + ": done.", "good");
      done();
    } catch (error) {
      wrong.replaceChildren(failure(error));
      send.disabled = false;
    }
  };
  const form = el("form", { class: "action", onsubmit: submit, "aria-label": words(name) },
    el("p", {}, means),
    properties.map(([key, value]) => field(key, value, required.includes(key))), wrong, send);
  return form;
};

/** A button that must be pressed twice within some seconds, for what cannot be undone. */
export const twice = (label, attributes, act) => {
  let armed = 0;
  const button = el("button", { type: "button", ...attributes, onclick: async () => {
    if (Date.now() > armed) {
      armed = Date.now() + 5000;
      button.textContent = "Press again: " + label;
      setTimeout(() => { button.textContent = label; }, 5000);
      return;
    }
    button.disabled = true;
    try {
      await act();
    } catch (error) {
      note(error.message + (error.requestId ? " (request " + error.requestId + ")" : ""), "bad");
    } finally {
      button.disabled = false;
      armed = 0;
      button.textContent = label;
    }
  } }, label);
  return button;
};
