// Answers and happenings that the server does not yet hold: kept first, sent then, removed when the server says that it holds them.

import { pause, waitMs } from "./patience.js";

const MOST_AT_ONCE = 50;
const MOST_BYTES = 48000;
/** Of a session; who makes more than this says nothing new. */
const MOST_HAPPENINGS = 400;
const place = (number) => String(number).padStart(7, "0");

export class Outbox extends EventTarget {
  /**
   * store: a Store; post: (body) -> Promise of {held, feedback}; mine: () -> whether this page still owns the session.
   * Events: `changed` (what is held, or whether sending fails), `trouble` (detail: the error that does not pass), `behind` (the server
   * lacks an answer that is not here).
   */
  constructor(store, post, { held, happenings, mine, now, random = Math.random }) {
    super();
    Object.assign(this, { store, post, mine, now, random });
    this.held = held;
    this.feedback = new Map();
    this.count = Math.max(happenings || 0, store.get("happenings") || 0);
    this.failures = 0;
    this.stopped = false;
    this.sending = null;
    this.dropHeld();
    const last = this.answered;
    for (const key of store.keys("answer|")) if (Number(key.slice(7)) > last) store.remove(key); // behind a gap: asked again
  }

  /** The last trial that is answered: held by the server, or lying here without a gap. */
  get answered() {
    let last = this.held;
    while (this.store.get(`answer|${place(last + 1)}`) !== null) last += 1;
    return last;
  }

  get unsent() {
    return this.store.keys("answer|").length;
  }

  /** Keeps an answer (before anything else happens), then sends it. */
  put(answer) {
    this.store.set(`answer|${place(answer.trial)}`, answer);
    this.wake();
  }

  /** Keeps a happening; it is sent with the next answers, or soon. */
  tell(kind, trial = null, content = null) {
    if (this.stopped || !this.mine() || this.count >= MOST_HAPPENINGS) return;
    this.count += 1;
    this.store.set("happenings", this.count);
    const text = content === null ? null : String(content).slice(0, 500);
    this.store.set(`happening|${place(this.count)}`, { number: this.count, kind, trial, at_ms: this.now(), content: text });
    this.wake();
  }

  stop() {
    this.stopped = true;
  }

  /** Sends until nothing is left; one request at a time. */
  wake() {
    if (!this.sending && !this.stopped) {
      this.sending = this.sendAll().finally(() => {
        this.sending = null;
        if (!this.stopped && this.mine() && this.next() !== null) this.wake();
      });
    }
    return this.sending;
  }

  async sendAll() {
    await null; // what is put in one go is sent in one go
    while (!this.stopped && this.mine()) {
      const body = this.next();
      if (body === null) return;
      try {
        const said = await this.post(body);
        this.failures = 0;
        this.took(body, said);
      } catch (error) {
        if (this.stopped) return;
        if (error.kind === "out_of_order" && Number.isInteger(error.body.held)) {
          if (!this.goOnFrom(error.body.held)) return;
        } else if (error.passing) {
          this.failures += 1;
          this.changed();
          await pause(waitMs(this.failures, error.retryAfterMs, this.random()), error.retryAfterMs === null);
        } else {
          this.stopped = true;
          this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
          return;
        }
      }
    }
  }

  /** The next body; null where nothing is left to send. */
  next() {
    let bytes = 0;
    const take = (keys) => {
      const taken = [];
      for (const key of keys.slice(0, MOST_AT_ONCE)) {
        const value = this.store.get(key);
        if (value === null) continue;
        bytes += JSON.stringify(value).length + 1;
        if (bytes > MOST_BYTES && taken.length) break;
        taken.push(value);
      }
      return taken;
    };
    const answers = take(this.store.keys("answer|").filter((key) => Number(key.slice(7)) > this.held));
    const happenings = bytes > MOST_BYTES ? [] : take(this.store.keys("happening|"));
    return answers.length || happenings.length ? { answers, happenings } : null;
  }

  took(body, said) {
    for (const happening of body.happenings) this.store.remove(`happening|${place(happening.number)}`);
    for (const [trial, word] of Object.entries(said.feedback || {})) this.feedback.set(Number(trial), word);
    this.held = Math.max(this.held, said.held);
    this.dropHeld();
    this.changed();
  }

  dropHeld() {
    for (const key of this.store.keys("answer|")) if (Number(key.slice(7)) <= this.held) this.store.remove(key);
  }

  /** The server holds another number than this page believed: goes on from there. False where the next answer is not here. */
  goOnFrom(held) {
    const lost = held < this.held || this.store.get(`answer|${place(held + 1)}`) === null;
    this.held = held;
    this.dropHeld();
    this.changed();
    if (lost && this.unsent) {
      this.stopped = true;
      this.dispatchEvent(new Event("behind"));
      return false;
    }
    return true;
  }

  changed() {
    this.dispatchEvent(new Event("changed"));
  }

  /** Waits until the server holds so many trials. */
  untilHeld(n) {
    return new Promise((resolve) => {
      const look = () => {
        if (this.held < n) return;
        this.removeEventListener("changed", look);
        resolve();
      };
      this.addEventListener("changed", look);
      look();
    });
  }
}
