// Follows /v1/stream. The browser's own EventSource cannot send a key, so the stream is read with fetch. What was heard
// last is given back when the stream is cut, so that nothing is left out between.
import { failed, headers } from "./api.js";

const SILENCE_FACTOR = 2.5;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30000;
const LONGEST_FRAME = 64 << 20;

/** Cuts a text stream into events. Gives each to `take`, and remembers its id. */
export const reader = (take) => {
  let rest = "";
  return (text) => {
    rest += text;
    if (rest.length > LONGEST_FRAME) throw new Error("a frame of the stream has no end");
    for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
      const frame = { event: "message", data: "" };
      for (const line of rest.slice(0, end).split("\n")) {
        const colon = line.indexOf(":");
        if (colon < 0) continue;
        const value = line.slice(colon + 1).replace(/^ /, "");
        const field = line.slice(0, colon);
        if (field === "data") frame.data += (frame.data ? "\n" : "") + value;
        else if (field) frame[field] = value;
      }
      rest = rest.slice(end + 2);
      take(frame);
    }
  };
};

export class Live extends EventTarget {
  #controller = null;
  #position = "";
  #heartbeat = 15;

  /** `connecting`, `open`, `cut` or `closed`; with the reason of a cut. */
  state = "closed";
  reason = "";

  #say(state, reason = "") {
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new CustomEvent("state"));
  }

  start() {
    this.stop();
    this.#controller = new AbortController();
    this.#run(this.#controller.signal);
  }

  stop() {
    this.#controller?.abort();
    this.#controller = null;
    this.#position = "";
    this.#say("closed");
  }

  async #run(signal) {
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      this.#say(this.state === "cut" ? "cut" : "connecting", this.reason);
      try {
        await this.#follow(signal, () => { pause = FIRST_PAUSE_MS; });
        if (!signal.aborted && this.state !== "cut") this.#say("cut", "the stream ended");
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 401 || error.status === 403) {
          this.#say("cut", "the stream refuses this key");
          return;
        }
        // The mirror was made anew: what was heard does not hold any more.
        if (error.status === 410) {
          this.#position = "";
          this.dispatchEvent(new CustomEvent("anew"));
        }
        this.#say("cut", error.message);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }

  async #follow(signal, heard) {
    const own = new AbortController();
    const stop = () => own.abort();
    signal.addEventListener("abort", stop, { once: true });
    let timer = 0;
    // A connection that says nothing for longer than two signs of life is gone, whatever the network says.
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => own.abort(), this.#heartbeat * SILENCE_FACTOR * 1000);
    };
    try {
      alive();
      const resume = this.#position ? { "last-event-id": this.#position } : {};
      const response = await fetch("/v1/stream?include=events", {
        headers: headers({ accept: "text/event-stream", ...resume }), signal: own.signal, cache: "no-store", credentials: "omit",
      });
      if (!response.ok) throw await failed(response);
      const take = reader((frame) => this.#take(frame));
      const body = response.body.pipeThrough(new TextDecoderStream()).getReader();
      this.#say("open");
      for (;;) {
        const { value, done } = await body.read();
        if (done) return;
        heard();
        alive();
        take(value);
      }
    } catch (error) {
      if (own.signal.aborted && !signal.aborted) throw new Error("nothing was heard for too long");
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }

  #take(frame) {
    if (frame.id) this.#position = frame.id;
    if (!frame.data) return;
    const data = JSON.parse(frame.data);
    if (frame.event === "hello") this.#heartbeat = data.heartbeat_s || 15;
    if (frame.event === "cut") this.#say("cut", "the service cut the stream: " + data.reason);
    this.dispatchEvent(new CustomEvent(frame.event, { detail: data }));
  }
}

/** The one stream of this page. */
export const live = new Live();
