// The line at the foot of the page that says what is going on; screen readers read it out.

const ORDER = ["waiting_image", "offline", "online", "away", "not_kept"];
const BRIEF_MS = 4000;

export class Notices {
  constructor(element, words) {
    this.element = element;
    this.words = words;
    this.shown = new Map();
  }

  /** Says a word until it is taken back; `brief`: goes by itself. */
  say(word, brief = false) {
    clearTimeout(this.shown.get(word));
    this.shown.set(word, brief ? setTimeout(() => this.unsay(word), BRIEF_MS) : undefined);
    this.draw();
  }

  unsay(word) {
    clearTimeout(this.shown.get(word));
    if (this.shown.delete(word)) this.draw();
  }

  clear() {
    for (const word of [...this.shown.keys()]) this.unsay(word);
  }

  draw() {
    const word = ORDER.find((name) => this.shown.has(name));
    const text = word ? this.words.get(word) : "";
    if (this.element.textContent !== text) this.element.textContent = text;
    this.element.dataset.word = word || "";
  }
}
