// The screens that are read: each is put into the page, and resolves to what the person chose.

import { button, make, paragraphs } from "./dom.js";

export class Screens {
  /** main: where they go; words: Words. */
  constructor(main, words) {
    this.main = main;
    this.words = words;
  }

  /** Puts a sheet into the page, at its top, with the focus on its heading. */
  put(name, ...content) {
    const sheet = make("section", { class: "sheet", "data-screen": name }, ...content);
    this.main.replaceChildren(sheet);
    document.body.dataset.screen = name;
    window.scrollTo(0, 0);
    const heading = sheet.querySelector("h1");
    if (heading) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }
    return sheet;
  }

  /** A message, with buttons where there are choices: [[label, value], …], the main one first. */
  message(name, title, text, choices = []) {
    return new Promise((resolve) => {
      const buttons = choices.map(([label, value], place) =>
        button(label, () => resolve(value), { kind: place === 0 ? "main" : "plain" }),
      );
      this.put(
        name,
        title ? make("h1", { dir: "auto" }, title) : null,
        ...paragraphs(text),
        buttons.length ? make("div", { class: "row" }, ...buttons) : null,
      );
    });
  }

  connecting() {
    this.put("connecting", make("p", { class: "quiet", role: "status" }, this.words.get("connecting")));
  }

  /** Pages of text. Resolves to true after the last, to false where the person goes back before the first (if `back`). */
  async pages(name, title, pages, { last = "next", back = false, from = 0 } = {}) {
    let place = from;
    for (;;) {
      const step = await new Promise((resolve) => {
        const isLast = place === pages.length - 1;
        this.put(
          name,
          make("h1", { dir: "auto" }, title),
          ...paragraphs(pages[place]),
          make(
            "div",
            { class: "row" },
            button(this.words.get(isLast ? last : "next"), () => resolve(1), { kind: "main" }),
            place > 0 || back ? button(this.words.get("back"), () => resolve(-1)) : null,
            pages.length > 1
              ? make("span", { class: "quiet" }, this.words.get("page_of", { n: place + 1, total: pages.length }))
              : null,
          ),
        );
      });
      place += step;
      if (place < 0) return false;
      if (place >= pages.length) return true;
    }
  }

  /** The statements, each to be ticked. Resolves to "agree", "back" or "decline". */
  consent(statements) {
    return new Promise((resolve) => {
      const boxes = statements.map((text, place) => make("input", { type: "checkbox", id: `statement-${place}` }));
      const wanting = make("p", { class: "hint", role: "alert" });
      const agree = () => {
        const open = boxes.find((box) => !box.checked);
        if (!open) return resolve("agree");
        wanting.textContent = this.words.get("tick_all");
        return open.focus();
      };
      for (const box of boxes) {
        box.addEventListener("change", () => {
          if (boxes.every((other) => other.checked)) wanting.textContent = "";
        });
      }
      this.put(
        "consent",
        make("h1", {}, this.words.get("consent")),
        make(
          "div",
          { class: "statements" },
          ...statements.map((text, place) =>
            make("label", { class: "statement", for: `statement-${place}` }, boxes[place], make("span", { dir: "auto" }, text)),
          ),
        ),
        wanting,
        make(
          "div",
          { class: "row" },
          button(this.words.get("agree"), agree, { kind: "main" }),
          button(this.words.get("back"), () => resolve("back")),
          button(this.words.get("decline"), () => resolve("decline"), { kind: "link" }),
        ),
      );
    });
  }

  /** The participant's label, typed by the experimenter. */
  label() {
    return new Promise((resolve) => {
      const input = make("input", {
        type: "text", id: "label", required: true, pattern: "[A-Za-z0-9]{1,64}", maxlength: 64, autocomplete: "off", autocapitalize: "none",
      });
      const form = make(
        "form",
        {
          class: "typing",
          onsubmit: (event) => {
            event.preventDefault();
            resolve(input.value.trim());
          },
        },
        input,
        make("button", { type: "submit", class: "main" }, this.words.get("begin")),
      );
      this.put("label", make("h1", {}, make("label", { for: "label" }, this.words.get("participant"))), make("p", { class: "quiet" }, this.words.get("participant_hint")), form);
      input.focus();
    });
  }

  /** What the person wants to say. `draft`: what was typed before; `drafted(text)`: keeps it. */
  comment(draft, drafted) {
    return new Promise((resolve) => {
      const field = make("textarea", { id: "comment", rows: 4, maxlength: 2000, dir: "auto" });
      field.value = draft || "";
      field.addEventListener("input", () => drafted(field.value));
      this.put(
        "comment",
        make("h1", {}, make("label", { for: "comment" }, this.words.get("comment"))),
        make("p", { class: "quiet" }, this.words.get("optional")),
        field,
        make("div", { class: "row" }, button(this.words.get("finish"), () => resolve(field.value.trim()), { kind: "main" })),
      );
    });
  }

  /** The end: debriefing, and what the recruiter wants. Resolves where there is a next participant. */
  end(debriefing, completion, kiosk) {
    return new Promise((resolve) => {
      const next = kiosk
        ? make("div", { class: "row" }, button(this.words.get("next_participant"), () => resolve(), { kind: "main" }))
        : null;
      this.put("end", make("h1", {}, this.words.get("done")), ...paragraphs(debriefing), ...this.completion(completion), next);
    });
  }

  completion({ kind, code, url, fields }) {
    if (kind === "code") {
      const text = make("output", { class: "code", id: "code", tabindex: "0", "aria-label": this.words.get("code") }, code);
      const copy = button(this.words.get("copy"), async () => {
        copy.textContent = this.words.get((await copied(text)) ? "copied" : "copy");
      });
      return [
        make("h2", {}, this.words.get("code")),
        make("div", { class: "row" }, text, copy),
        make("p", { class: "quiet" }, this.words.get("thanks")),
      ];
    }
    if (kind === "form") {
      const hidden = Object.entries(fields).map(([name, value]) => make("input", { type: "hidden", name, value }));
      const submit = make("button", { type: "submit", class: "main" }, this.words.get("submit"));
      return [make("form", { method: "post", action: url, class: "row", id: "completion" }, ...hidden, submit)];
    }
    if (kind === "redirect" && url.startsWith("https://")) {
      const link = make("a", { href: url, class: "main", id: "completion", rel: "noreferrer" }, this.words.get("submit"));
      return [make("div", { class: "row" }, link)];
    }
    return [make("p", {}, this.words.get("thanks"))];
  }
}

/** Copies an element's text; where the browser does not allow it, selects it. */
async function copied(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return document.execCommand("copy");
  }
}

/** Asks whether somebody wants to stop. Resolves to "keep", "erase" or null (goes on). */
export function askToStop(words, anything) {
  return new Promise((resolve) => {
    const choose = (value) => {
      dialog.close();
      dialog.remove();
      resolve(value);
    };
    const on = button(words.get("go_on"), () => choose(null), { kind: "main" });
    const dialog = make(
      "dialog",
      { "aria-labelledby": "stop-title" },
      make("h1", { id: "stop-title" }, words.get("withdraw_title")),
      anything ? make("p", {}, words.get("withdraw_text")) : null,
      make(
        "div",
        { class: "column" },
        on,
        button(words.get("withdraw_keep"), () => choose("keep")),
        button(words.get("withdraw_erase"), () => choose("erase")),
      ),
    );
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      choose(null);
    });
    document.body.append(dialog);
    dialog.showModal();
    on.focus();
  });
}
