// One question and its answer: by key, by pointer, by finger, or typed.

import { button, make } from "./dom.js";
import { tidy } from "./frames.js";

const KEYS = "1234567890abcdefghijklmnopqrstuvwxyz";
/** A second click so soon belongs to the question before. */
const SAME_CLICK_MS = 150;

/** The key of the answer in a place, from 0; null beyond 36. */
export const keyOf = (place) => KEYS[place] ?? null;

/** Which answer a key event means, or -1. Digits count by their place on the keyboard, too (French rows, number pads). */
export function placeOf(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return -1;
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code || "");
  if (digit) return KEYS.indexOf(digit[1]);
  const key = event.key.length === 1 ? event.key.toLowerCase() : "";
  const place = key ? KEYS.indexOf(key) : -1;
  if (place >= 0) return place;
  const letter = /^Key([A-Z])$/.exec(event.code || ""); // Greek, Cyrillic, Arabic … keyboards
  return letter && key ? KEYS.indexOf(letter[1].toLowerCase()) : -1;
}

/**
 * A question on the page. `element` goes into the page; `listen(onset)` lets keys count, `appear(timestamp)` shows it;
 * `given` resolves to the answer: {question, value, typed, rt_ms, by}.
 */
export class Asked {
  /**
   * question: as the server says it; words: Words; blocked: () -> whether something else is in front; signal: ends it;
   * later: whether another question came before it in the same trial, at the same place.
   */
  constructor(question, words, { blocked, signal, later = false }) {
    Object.assign(this, { question, words, blocked, signal, later });
    this.since = Infinity; // from when on answers count, and reaction times are measured
    this.visibleSince = Infinity;
    this.down = null;
    this.heading = make("h2", { class: "question", tabindex: "-1", dir: "auto", id: `question-${question.name}` }, question.text);
    this.given = new Promise((resolve) => {
      this.resolve = resolve;
    });
    this.answered = false;
    const inside = question.kind === "typed" ? this.typing() : this.choosing();
    this.element = make(
      "div",
      { class: `asked ${question.kind}`, role: "group", "aria-labelledby": this.heading.id, "data-hidden": "" },
      this.heading,
      ...inside,
    );
    this.onKey = (event) => this.key(event);
    document.addEventListener("keydown", this.onKey, { signal });
  }

  listen(onset) {
    this.since = onset;
  }

  appear(timestamp) {
    if (this.since === Infinity) this.since = timestamp;
    this.visibleSince = timestamp;
    this.element.removeAttribute("data-hidden");
    if (this.answered) return;
    (this.input || this.heading).focus({ preventScroll: true });
  }

  choosing() {
    const { options, kind, name } = this.question;
    const buttons = options.map((option, place) => {
      const key = keyOf(place);
      return button(
        "",
        (event) => this.click(event, option.value),
        {
          kind: `option${option.value === "nothing" ? " nothing" : ""}`,
          name,
          value: option.value,
          "aria-keyshortcuts": key,
          onpointerdown: (event) => this.press(event),
        },
      );
    });
    buttons.forEach((element, place) => {
      const key = keyOf(place);
      if (key) element.append(make("kbd", { "aria-hidden": "true" }, key));
      element.append(make("span", { class: "label", dir: "auto" }, options[place].label));
    });
    const most = Math.max(...options.map((option) => option.label.length));
    const columns = kind === "rating" ? `steps-${options.length}` : most > 26 ? "wide" : options.length > 4 ? "many" : "few";
    return [make("div", { class: `options ${kind} ${columns}` }, ...buttons)];
  }

  typing() {
    const { max_letters: most, options, name } = this.question;
    this.input = make("input", {
      type: "text",
      name,
      maxlength: most,
      autocomplete: "off",
      autocapitalize: "none",
      autocorrect: "off",
      spellcheck: "false",
      enterkeyhint: "done",
      dir: "auto",
      "aria-labelledby": this.heading.id,
    });
    this.hint = make("p", { class: "hint", role: "alert" });
    const form = make(
      "form",
      { class: "typing", onsubmit: (event) => this.submit(event) },
      this.input,
      button(this.words.get("ok"), (event) => this.submit(event), { kind: "main", onpointerdown: (event) => this.press(event) }),
    );
    const nothing = options.map((option) =>
      button(option.label, (event) => this.click(event, option.value), {
        kind: "option nothing",
        name,
        value: option.value,
        onpointerdown: (event) => this.press(event),
      }),
    );
    this.nothingLabel = options.length ? options[0].label : null;
    return [form, this.hint, ...nothing];
  }

  press(event) {
    this.down = { at: event.timeStamp, by: event.pointerType === "touch" ? "touch" : "pointer" };
  }

  /** A click: by mouse or finger it counts from when the button went down; without either, it was Enter or Space. */
  click(event, value) {
    const down = event.detail > 0 ? this.down : null;
    this.down = null;
    if (down && down.at < this.visibleSince + (this.later ? SAME_CLICK_MS : 0)) return;
    this.answer(down ? down.at : event.timeStamp, { value, typed: null }, down ? down.by : "key");
  }

  submit(event) {
    event.preventDefault();
    const typed = this.input.value.trim();
    if (!typed) {
      const word = this.nothingLabel ? "type_or_nothing" : "type_something";
      this.hint.textContent = this.words.get(word, { nothing: this.nothingLabel });
      this.input.focus();
      return;
    }
    const down = event.type === "click" && event.detail > 0 ? this.down : null;
    this.down = null;
    this.answer(down ? down.at : event.timeStamp, { value: null, typed }, down ? down.by : "key");
  }

  key(event) {
    const onControl = event.target instanceof Element && event.target.closest("button, input, textarea, select, dialog");
    if (event.key === " " && !onControl) event.preventDefault(); // would scroll
    if (this.question.kind === "typed" || event.repeat || this.blocked()) return;
    const option = this.question.options[placeOf(event)];
    if (!option || event.timeStamp < this.since) return;
    event.preventDefault();
    this.answer(event.timeStamp, { value: option.value, typed: null }, "key");
  }

  answer(at, given, by) {
    if (this.answered || this.blocked() || at < this.since) return;
    this.answered = true;
    document.removeEventListener("keydown", this.onKey);
    const chosen = [...this.element.querySelectorAll("button.option")].find((element) => element.value === given.value);
    if (chosen) chosen.classList.add("chosen");
    this.resolve({ question: this.question.name, ...given, rt_ms: tidy(at - this.since), by });
  }
}
