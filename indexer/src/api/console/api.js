// Asks the API. Errors carry the problem that was answered and the request's id.
import { secret } from "./session.js";
import { note } from "./dom.js";

const WAITS = 3;
const LONGEST_WAIT_S = 30;

export class ApiError extends Error {
  constructor(message, { status = 0, problem = {}, requestId = "" } = {}) {
    super(message);
    this.status = status;
    this.code = problem.code || "";
    this.problem = problem;
    this.requestId = requestId;
  }
}

/** Called when a key is refused; `main.js` shows the login. */
let refused = () => {};
export const onRefused = (handler) => { refused = handler; };

const sleep = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, seconds * 1000);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

export const headers = (more = {}) => {
  const key = secret();
  return { accept: "application/json", ...(key ? { authorization: "Bearer " + key } : {}), ...more };
};

/** What a response that is no success says. */
export const failed = async (response) => {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // Whatever stands before the service (a proxy) need not answer a problem.
  }
  const requestId = response.headers.get("x-request-id") || "";
  return new ApiError(problem.detail || "the service answered " + response.status, { status: response.status, problem, requestId });
};

/** A path with a query; values that are empty are left out. */
export const path = (base, query = {}) => {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const text = new URLSearchParams(given).toString();
  return text ? base + "?" + text : base;
};

/** Asks, and gives the answer's JSON (null without a body). Waits when asked less often, a few times. */
export const ask = async (url, { method = "GET", body, signal } = {}) => {
  for (let waits = 0; ; waits++) {
    let response;
    try {
      response = await fetch(url, {
        method, signal, cache: "no-store", credentials: "omit", redirect: "error",
        headers: headers(body === undefined ? {} : { "content-type": "application/json" }),
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("the service cannot be reached (" + error.message + ")");
    }
    if (response.ok) return response.status === 204 ? null : response.json();
    const error = await failed(response);
    if (response.status === 429 && waits < WAITS) {
      const wait = Math.min(Math.max(Number(response.headers.get("retry-after")) || 1, 1), LONGEST_WAIT_S);
      note("Too many requests: asking again in " + wait + " s.");
      await sleep(wait, signal);
      continue;
    }
    if (response.status === 401) refused(error);
    throw error;
  }
};

let document_ = null;

/** The description of this very service, read once. */
export const description = async () => {
  document_ ??= await ask("/v1/openapi.json");
  return document_;
};

/** Does the service have this route? */
export const has = async (method, route) => Boolean((await description()).paths?.[route]?.[method]);
