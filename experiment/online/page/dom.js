// Building elements from texts: always as text, never as markup.

/** An element: make("p", {class: "hint"}, "text", child, …). Names with a dash are attributes, `on…` are listeners. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Paragraphs of a text, parted at blank lines; single line breaks stay. */
export function paragraphs(text) {
  return String(text)
    .trim()
    .split(/\n\s*\n/)
    .map((part) => make("p", { dir: "auto" }, part.trim()));
}

/** A button. */
export function button(label, onclick, { kind = "plain", ...properties } = {}) {
  return make("button", { type: "button", class: kind, onclick, ...properties }, label);
}

/** Text with {name} replaced. */
export function fill(text, values = {}) {
  return String(text).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

/** The page's words: word("progress", {done: 1, total: 2}). A word that lacks shows its name. */
export class Words {
  constructor(words = {}) {
    this.words = words;
  }

  get(name, values) {
    return fill(this.words[name] ?? name, values);
  }
}
