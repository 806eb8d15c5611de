// jsPsych plugin `crop-trial`: break, fixation, image for a time decided on frames, mask, questions, feedback. Its only one.

import { button, make, paragraphs } from "./dom.js";
import { after, eachFrame, expose } from "./frames.js";
import { noise, seedOf } from "./mask.js";
import { Asked } from "./questions.js";

/** The longest time for which feedback waits for the server; then the person goes on without it. */
const PATIENCE_WITH_FEEDBACK_MS = 4000;

/**
 * The plugin, as a class for jsPsych.
 *
 * ParameterType: jsPsych's. room: what the trial lives in:
 *   words, frameTime, showing, questions, practice, rest; picture(trial) -> Promise of canvas; blocked() -> bool;
 *   presence: {begin(trial), end() -> whether the page was hidden, left or covered}; signal: ends the trial;
 *   keep(answer): stores it before anything else happens; feedback(number) -> Promise of "right", "wrong" or null;
 *   notice(word): says something, or nothing; trouble(error): shows that it cannot go on.
 */
export function cropTrial(ParameterType, room) {
  return class CropTrial {
    static info = {
      name: "crop-trial",
      version: "1.0.0",
      parameters: { trial: { type: ParameterType.OBJECT, default: undefined } },
      data: { trial: { type: ParameterType.INT }, given: { type: ParameterType.COMPLEX }, shown: { type: ParameterType.COMPLEX } },
    };

    constructor(jsPsych) {
      this.jsPsych = jsPsych;
    }

    async trial(display, { trial }, loaded) {
      try {
        return await run(display, trial, room, loaded);
      } catch (error) {
        if (room.signal.aborted) return new Promise(() => {}); // somebody else has the page now
        room.trouble(error);
        return new Promise(() => {});
      }
    }
  };
}

async function run(display, trial, room, loaded) {
  const { showing, signal } = room;
  if (trial.notice) await screen(display, room, [make("h1", {}, trial.notice)], "begin");
  if (trial.rest) await screen(display, room, [make("h1", {}, room.words.get("break")), ...paragraphs(room.rest)], "continue");
  const stage = make("div", { class: "stage" });
  const asking = make("div", { class: "asking" });
  const section = make("section", { class: "trial", "data-trial": trial.number, "data-kind": trial.kind }, stage, asking);
  display.replaceChildren(section);
  const questions = trial.kind === "attention" ? room.questions.slice(0, 1) : room.questions;
  const asked = questions.map((question, place) => new Asked(question, room.words, { blocked: room.blocked, signal, later: place > 0 }));
  asking.append(asked[0].element);
  const layers = trial.asset ? await prepared(stage, trial, room) : null;
  loaded();
  room.presence.begin(trial.number);
  const [shown, first] = layers
    ? await lookAndAnswer(asked[0], layers, showing, room)
    : [null, await readAndAnswer(asked[0], stage, trial, signal)];
  const given = [first];
  for (const next of asked.slice(1)) {
    await eachFrame((timestamp) => {
      asking.replaceChildren(next.element);
      next.appear(timestamp);
      return true;
    }, signal);
    given.push(await next.given);
  }
  await room.keep({ trial: trial.number, shown, given, hidden: room.presence.end() });
  if (trial.kind === "practice" && room.practice) await feedback(display, trial, room);
  return { trial: trial.number, shown, given };
}

/** Everything slow, before anything is shown: image fetched, decoded and drawn, mask made. */
async function prepared(stage, trial, room) {
  stage.style.setProperty("--side", `${room.showing.side_px}px`);
  const late = setTimeout(() => room.notice("waiting_image"), 400);
  const image = await room.picture(trial, stage.clientWidth || room.showing.side_px).finally(() => clearTimeout(late));
  room.notice(null);
  image.className = "image";
  const fixation = make("div", { class: "fixation", "aria-hidden": "true" });
  const mask = room.showing.mask_s ? noise(seedOf(trial.asset)) : null;
  if (mask) mask.className = "mask";
  for (const layer of [image, mask]) if (layer) layer.dataset.hidden = "";
  if (!room.showing.fixation_s) fixation.dataset.hidden = "";
  stage.append(...[image, mask, fixation].filter(Boolean));
  return { image, mask, fixation };
}

/** Fixation, image, mask, and the first question: after a timed image, with an unlimited one. */
async function lookAndAnswer(asked, { image, mask, fixation }, showing, room) {
  const { frameTime, signal } = room;
  const ms = (seconds) => (seconds === null ? null : seconds * 1000);
  const timed = showing.image_s !== null;
  const shown = await expose({
    fixationMs: ms(showing.fixation_s),
    askedMs: ms(showing.image_s),
    frameTime,
    signal,
    answered: () => asked.answered,
    show: (timestamp) => {
      fixation.dataset.hidden = "";
      delete image.dataset.hidden;
      asked.listen(timestamp);
      if (!timed) asked.appear(timestamp);
    },
    hide: (timestamp) => {
      image.dataset.hidden = "";
      if (mask && showing.mask_delay_s === 0) delete mask.dataset.hidden;
      if (timed && !mask) asked.appear(timestamp);
    },
  });
  if (timed && mask) {
    let begin = shown.offset_ms;
    if (showing.mask_delay_s) {
      begin = await after(ms(showing.mask_delay_s), frameTime, () => delete mask.dataset.hidden, signal, begin);
    }
    const hide = (timestamp) => {
      mask.dataset.hidden = "";
      asked.appear(timestamp);
    };
    await after(ms(showing.mask_s), frameTime, hide, signal, begin);
  }
  return [shown, await asked.given];
}

/** An attention check: a text that says which answer to give. */
async function readAndAnswer(asked, stage, trial, signal) {
  stage.classList.add("text");
  stage.append(make("div", { class: "check" }, ...paragraphs(trial.text)));
  await eachFrame((timestamp) => {
    asked.listen(timestamp);
    asked.appear(timestamp);
    return true;
  }, signal);
  return asked.given;
}

async function feedback(display, trial, room) {
  const word = await Promise.race([
    room.feedback(trial.number),
    new Promise((resolve) => {
      setTimeout(resolve, PATIENCE_WITH_FEEDBACK_MS, null);
    }),
  ]);
  if (!word) return;
  const text = room.practice[word];
  display.replaceChildren(
    make("section", { class: `feedback ${word}`, role: "status" }, make("span", { class: "sign", "aria-hidden": "true" }), ...paragraphs(text)),
  );
  await after(room.practice.feedback_s * 1000, room.frameTime, () => {}, room.signal);
}

/** A screen between trials, until its button is pressed. */
function screen(display, room, content, word) {
  return new Promise((resolve) => {
    const go = button(room.words.get(word), () => resolve(), { kind: "main" });
    display.replaceChildren(make("section", { class: "sheet between" }, ...content, make("div", { class: "row" }, go)));
    go.focus({ preventScroll: true });
  });
}
