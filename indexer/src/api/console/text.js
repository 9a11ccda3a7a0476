// How values are written for people. Amounts are whole numbers of any size and never become floats.

/** The beginning of a hash. */
export const hash = (text) => (text && text.length > 14 ? text.slice(0, 10) + "…" : text || "");

/** A principal, short enough for a column; a contract by its name. */
export const principal = (text) => {
  if (!text) return "";
  const [address, name] = text.split(".");
  const short = address.length > 14 ? address.slice(0, 5) + "…" + address.slice(-4) : address;
  return name ? short + "." + name : short;
};

/** An asset's name for people. */
export const asset = (id) => (id === null || id === undefined ? "" : id.includes(".") ? id.split(".")[1] : id.toUpperCase());

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** Base units as a decimal number with a thin gap between thousands. */
export const amount = (units, decimals = 0) => {
  if (units === null || units === undefined) return "";
  const text = String(units);
  const minus = text.startsWith("-") ? "−" : "";
  const digits = text.replace(/^-/, "");
  if (!/^\d+$/.test(digits)) return text;
  if (!decimals) return minus + grouped(digits);
  const padded = digits.padStart(decimals + 1, "0");
  const whole = padded.slice(0, -decimals);
  const rest = padded.slice(-decimals).replace(/0+$/, "");
  return minus + grouped(whole) + (rest ? "." + rest : "");
};

/** How often. */
export const times = (number) => (number === 1 ? "once" : count(number) + " times");

/** A word at the beginning of a heading. */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A whole number. */
export const count = (number) => (number === null || number === undefined ? "" : amount(String(number)));

/** A time as text in UTC, to the second. `when` is RFC 3339, or unix seconds. */
export const time = (when) => {
  if (when === null || when === undefined) return "";
  const date = typeof when === "number" ? new Date(when * 1000) : new Date(when);
  return Number.isNaN(date.getTime()) ? String(when) : date.toISOString().replace("T", " ").slice(0, 19) + "Z";
};

/** Seconds in words. */
export const span = (seconds) => {
  const s = Math.abs(Math.round(seconds));
  if (s < 120) return s + " s";
  if (s < 7200) return Math.round(s / 60) + " min";
  if (s < 172800) return Math.round(s / 3600) + " h";
  return grouped(String(Math.round(s / 86400))) + " d";
};

/** How long ago. */
export const ago = (when) => {
  if (when === null || when === undefined) return "";
  const at = typeof when === "number" ? when * 1000 : Date.parse(when);
  const s = (Date.now() - at) / 1000;
  return Number.isNaN(s) ? String(when) : s < 0 ? "in " + span(s) : span(s) + " ago";
};

/** Bitcoin blocks with the time that they usually take. */
export const burnBlocks = (n) => {
  if (n === null || n === undefined) return "";
  const word = Math.abs(n) === 1 ? " block" : " blocks";
  return count(n) + word + (n > 0 ? ", about " + span(n * 600) : "");
};

/** `some-words_like-these` as words. */
export const words = (text) => String(text ?? "").replace(/[-_]/g, " ");
