// One session, from the instructions to the end: goes on wherever it was left, and loses no answer.

import { cropTrial } from "./crop_trial.js";
import { FrameTime, tidy } from "./frames.js";
import { Images } from "./images.js";
import { Outbox } from "./outbox.js";
import { persist } from "./patience.js";
import { Presence } from "./presence.js";
import { askToStop } from "./screens.js";
import { get, post } from "./server.js";

const FRAMES_MEASURED = 60;

/**
 * Takes part until the session has ended somehow. Resolves to how:
 * "end" (screen shown), "taken_over", "reload" (start again from what the server holds).
 */
export async function takePart(page, session) {
  const taking = new TakingPart(page, session);
  const ending = new Promise((resolve) => {
    taking.stop = (how) => {
      if (taking.over) return;
      taking.over = true;
      taking.ended.abort(new Error(how));
      taking.outbox.stop();
      resolve(how);
    };
  });
  taking.run().then(taking.stop, (error) => {
    if (!taking.over) taking.trouble(error);
  });
  return ending;
}

class TakingPart {
  constructor(page, session) {
    Object.assign(this, page); // store, token, words, screens, notices, arrival, progress, tools
    this.session = session;
    this.over = false;
    this.ended = new AbortController();
    this.dialogOpen = false;
    this.frameTime = new FrameTime();
    this.tab = crypto.getRandomValues(new Uint32Array(4)).join("-");
    this.claim();
    this.outbox = new Outbox(this.store, (body) => post("api/answers", body, this.token), {
      held: session.held,
      happenings: session.n_happenings,
      mine: () => this.mine(),
      now: () => tidy(performance.now()),
    });
    this.presence = new Presence({
      tell: (kind, trial, content) => this.outbox.tell(kind, trial, content),
      say: (word) => this.notices.say(word, true),
      signal: this.ended.signal,
    });
    this.images = new Images(session.trials, this.token, () => this.over);
    this.listen();
  }

  /** This page takes the session over from other tabs, and puts away what belongs to another session. */
  claim() {
    const { store, session } = this;
    store.set("owner", this.tab);
    const mark = session.trials.map((trial) => trial.asset).find(Boolean) ?? null;
    if (store.get("session") !== mark) {
      for (const key of [...store.keys("answer|"), ...store.keys("happening|"), "happenings", "loads", "comment"]) store.remove(key);
      store.set("session", mark);
    }
    this.load = Math.max(store.get("loads") || 0, session.n_loads || 0) + 1;
    store.set("loads", this.load);
  }

  mine() {
    return !this.store.lasting || this.store.get("owner") === this.tab;
  }

  listen() {
    const { signal } = this.ended;
    const on = (target, kind, doing) => target.addEventListener(kind, doing, { signal });
    const stillMine = () => this.mine() || this.stop("taken_over");
    on(window, "storage", stillMine);
    on(window, "pageshow", stillMine);
    on(document, "visibilitychange", stillMine);
    on(window, "beforeunload", (event) => {
      if (this.outbox.unsent) event.preventDefault();
    });
    on(window, "popstate", () => {
      history.pushState({ foolscan: true }, "");
      this.askToStop();
    });
    history.pushState({ foolscan: true }, "");
    this.outbox.addEventListener("changed", () => {
      if (this.outbox.failures > 0) this.notices.say("offline");
      else if (this.notices.shown.has("offline")) {
        this.notices.unsay("offline");
        this.notices.say("online", true);
      }
    });
    on(window, "offline", () => this.notices.say("offline"));
    on(window, "online", () => this.outbox.wake());
    this.outbox.addEventListener("behind", () => this.stop("reload"));
    this.outbox.addEventListener("trouble", (event) => this.refused(event.detail));
  }

  /** The server refused what lay in the outbox. */
  refused(error) {
    if (error.status === 401) this.stop("taken_over");
    else if (["finished", "withdrawn", "erased"].includes(error.kind)) this.stop("reload");
    else {
      for (const key of this.store.keys("answer|")) this.store.remove(key); // these trials are shown once more
      this.trouble(error);
    }
  }

  async trouble(error) {
    console.error(error);
    // to a void token the server says of an image only that there is none
    const isVoid = error.status === 401 || (error.status === 404 && (await sessionOf(this.token, () => {})) === null);
    if (isVoid) return this.stop("taken_over");
    const { words } = this;
    this.leaveTrials();
    await this.screens.message("trouble", words.get("trouble"), error.message, [[words.get("retry"), true]]);
    return this.stop("reload");
  }

  async run() {
    const { session, store, outbox, words } = this;
    if (session.state === "finished") return this.finish("");
    if (session.state !== "active") {
      await this.screens.message("withdrawn", "", words.get("withdrawn"));
      return "end";
    }
    if (store.get("withdraw")) return this.withdraw(store.get("withdraw"));
    this.tools.withdraw(() => this.askToStop());
    outbox.tell("loaded", null, this.screen());
    if (!store.lasting) this.notices.say("not_kept");
    const first = outbox.answered + 1;
    this.images.fetchAhead(first);
    this.frameTime.measure(FRAMES_MEASURED).then((ms) => outbox.tell("measured", null, `frame_ms=${tidy(ms)}`));
    if (first > 1) outbox.tell("resumed", Math.min(first, session.trials.length));
    outbox.wake();
    if (first === 1) await this.screens.pages("instructions", session.title, session.instructions, { last: "begin" });
    else if (first <= session.trials.length) {
      await this.screens.message("welcome_back", "", words.get("welcome_back"), [[words.get("continue"), true]]);
    }
    if (first <= session.trials.length) await this.unlessEnded(this.trials(first));
    await this.unlessEnded(this.saved());
    const comment = await this.screens.comment(store.get("comment"), (text) => store.set("comment", text));
    return this.finish(comment);
  }

  /** What was promised; for ever waited for where the person has stopped or the page was taken over meanwhile. */
  async unlessEnded(promise) {
    const found = await promise;
    return this.ended.signal.aborted ? new Promise(() => {}) : found;
  }

  screen() {
    return JSON.stringify({
      viewport: [innerWidth, innerHeight],
      screen: [screen.width, screen.height],
      pixel_ratio: devicePixelRatio,
      zoom: window.visualViewport ? tidy(visualViewport.scale) : null,
      side_px: Math.min(this.session.showing.side_px, this.main.clientWidth),
      language: navigator.language,
      touch: navigator.maxTouchPoints > 0,
      load: this.load,
    });
  }

  /** jsPsych shows the trials from a number on. */
  async trials(first) {
    const { session, words } = this;
    const { initJsPsych, ParameterType } = window.jsPsychModule;
    const type = cropTrial(ParameterType, this.room());
    const timeline = session.trials.slice(first - 1).map((trial, place) => {
      const before = session.trials[first - 2 + place];
      const begins = before && before.kind === "practice" && trial.kind !== "practice";
      return { type, trial: { ...trial, notice: begins ? words.get("practice_over") : null } };
    });
    this.screens.main.replaceChildren();
    document.body.dataset.screen = "trials";
    const jsPsych = initJsPsych({
      display_element: this.screens.main,
      on_trial_start: ({ trial }) => this.showProgress(trial),
    });
    const running = jsPsych.run(timeline);
    this.screens.main.tabIndex = -1;
    await running;
    this.leaveTrials();
  }

  room() {
    const { session, outbox } = this;
    return {
      words: this.words,
      rest: session.rest,
      showing: session.showing,
      questions: session.questions,
      practice: session.practice,
      frameTime: this.frameTime,
      presence: this.presence,
      signal: this.ended.signal,
      blocked: () => this.dialogOpen,
      notice: (word) => (word ? this.notices.say(word) : this.notices.unsay("waiting_image")),
      trouble: (error) => this.trouble(error),
      picture: (trial, sidePx) => {
        this.images.fetchAhead(trial.number);
        return this.images.drawn(trial.asset, sidePx);
      },
      keep: (answer) => {
        if (!this.mine()) {
          this.stop("taken_over");
          throw new Error("taken over");
        }
        outbox.put({ ...answer, sent_ms: tidy(performance.now()), load: this.load });
      },
      feedback: async (number) => {
        await outbox.untilHeld(number);
        return outbox.feedback.get(number) ?? null;
      },
    };
  }

  showProgress(trial) {
    const { trials } = this.session;
    const counted = trials.filter((other) => other.kind !== "practice");
    const done = counted.filter((other) => other.number < trial.number).length;
    const text =
      trial.kind === "practice" ? this.words.get("practice") : this.words.get("progress", { done, total: counted.length });
    this.progress.show(done, counted.length, text);
  }

  leaveTrials() {
    this.progress.hide();
    this.screens.main.classList.remove("jspsych-display-element");
  }

  /** Waits until the server holds every trial. */
  async saved() {
    const { outbox, session, words } = this;
    const all = session.trials.length;
    if (outbox.held >= all) return;
    const draw = () => {
      if (this.ended.signal.aborted || outbox.held >= all) return;
      const text = outbox.failures > 0 ? words.get("unsent", { n: outbox.unsent }) : "";
      this.screens.message("saving", words.get("saving"), text);
    };
    draw();
    outbox.addEventListener("changed", draw);
    outbox.wake();
    await outbox.untilHeld(all);
    outbox.removeEventListener("changed", draw);
  }

  async finish(comment) {
    this.screens.connecting();
    let said;
    try {
      said = await persist(
        () => post("api/finish", { comment, arrival: this.arrival }, this.token),
        () => this.notices.say("offline"),
      );
    } catch (error) {
      if (error.kind === "incomplete") return "reload";
      throw error;
    }
    this.outbox.stop();
    this.ended.abort(new Error("finished"));
    this.tools.clear();
    this.notices.clear();
    this.store.remove("comment");
    await this.screens.end(said.debriefing, said.completion, this.session.kiosk);
    this.store.clear();
    location.assign(location.pathname);
    return "end";
  }

  async askToStop() {
    if (this.dialogOpen || this.over) return;
    this.dialogOpen = true;
    this.presence.interrupted();
    this.outbox.tell("asked_to_stop", this.presence.trial);
    const how = await askToStop(this.words, true);
    this.presence.interrupted();
    this.dialogOpen = false;
    if (how) this.withdraw(how).then(this.stop, (error) => this.trouble(error));
  }

  /** Tells the server that somebody stops; asked again after a reload until it knows. */
  async withdraw(how) {
    const { store, outbox, words } = this;
    store.set("withdraw", how);
    this.ended.abort(new Error("withdrawn"));
    this.tools.clear();
    this.leaveTrials();
    this.screens.message("withdrawing", "", words.get("withdrawing"));
    if (how === "erase") for (const key of [...store.keys("answer|"), ...store.keys("happening|")]) store.remove(key);
    else await Promise.race([outbox.wake(), new Promise((resolve) => setTimeout(resolve, 3000))]);
    outbox.stop();
    try {
      await persist(
        () => post("api/withdraw", { erase: how === "erase" }, this.token),
        () => this.notices.say("offline"),
      );
    } catch (error) {
      if (error.kind !== "withdrawn" && error.kind !== "erased") throw error;
    }
    this.notices.clear();
    store.clear();
    if (how === "keep") store.set("token", this.token); // asked again, the server says that it has ended
    await this.screens.message(
      "withdrawn",
      "",
      words.get(`withdrawn_${how}`),
      this.session.kiosk ? [[words.get("next_participant"), true]] : [],
    );
    location.assign(location.pathname);
    return "end";
  }
}

/** The session of a token; null where the server knows no such token (any more). */
export async function sessionOf(token, onFailure) {
  try {
    return await persist(() => get("api/session", token), onFailure);
  } catch (error) {
    if (error.status === 401) return null;
    throw error;
  }
}
