// The page: who came, in which language, whether they take part, and then the session.

import { paint } from "./colours.js";
import { button, make, Words } from "./dom.js";
import { Notices } from "./notices.js";
import { persist } from "./patience.js";
import { Screens } from "./screens.js";
import { get, post } from "./server.js";
import { sessionOf, takePart } from "./session.js";
import { Store } from "./store.js";

/** Of the address, besides the browser's name; the server takes no more. */
const MOST_PARAMETERS = 19;
const element = (id) => document.getElementById(id);
const words = new Words({
  connecting: "…", trouble: "Something is wrong", retry: "Try again", language: "Language", offline: "No connection to the server …",
});
const main = element("main");
const notices = new Notices(element("notice"), words);
const screens = new Screens(main, words);

const progress = {
  show(done, total, text) {
    const bar = element("progress");
    bar.hidden = false;
    bar.setAttribute("aria-valuemax", total);
    bar.setAttribute("aria-valuenow", done);
    bar.setAttribute("aria-valuetext", text);
    bar.firstElementChild.style.inlineSize = `${(100 * done) / total}%`;
    element("title").textContent = text;
  },
  hide() {
    element("progress").hidden = true;
    element("title").textContent = document.title;
  },
};

const tools = {
  clear() {
    element("tools").replaceChildren();
  },
  withdraw(onclick) {
    tools.clear();
    if (page.kiosk) tools.fullScreen();
    element("tools").append(button(words.get("withdraw"), onclick, { kind: "link", id: "withdraw" }));
  },
  fullScreen() {
    if (!document.fullscreenEnabled) return;
    const toggle = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
    element("tools").append(button(words.get("full_screen"), toggle, { kind: "link", id: "full-screen" }));
  },
  languages(languages, chosen, onchange) {
    if (languages.length < 2) return;
    const names = new Map(languages.map((tag) => [tag, nameOf(tag)]));
    const select = make(
      "select",
      { id: "language", "aria-label": words.get("language"), onchange: () => onchange(select.value) },
      ...languages.map((tag) => make("option", { value: tag, lang: tag, selected: tag === chosen }, names.get(tag))),
    );
    element("tools").append(select);
  },
};

const page = { words, notices, screens, main, progress, tools, kiosk: false };

/** A language's name in itself. */
function nameOf(tag) {
  try {
    return new Intl.DisplayNames([tag], { type: "language" }).of(tag);
  } catch {
    return tag;
  }
}

/** A random name of this browser, for those who came without one: who reloads, or comes back tomorrow, is the same person. */
function browserId() {
  const shelf = new Store("browser");
  let id = shelf.get("id");
  if (!id) {
    const bytes = crypto.getRandomValues(new Uint8Array(24));
    id = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
    shelf.set("id", id);
  }
  return id;
}

/** Who came: the recruiter's name and the parameters of the page's address. */
function arrivalOf(address) {
  const recruiter = address.pathname.split("/").pop();
  const said = [...address.searchParams].filter(([name, value]) => name !== "language" && name.length <= 64 && value.length <= 512);
  const arrival = Object.fromEntries(said.slice(0, MOST_PARAMETERS));
  const key = new URLSearchParams(Object.entries(arrival).sort()).toString();
  if (recruiter !== "lab") arrival.browser ??= browserId(); // counts where the recruiter finds no name of its own
  return { recruiter, arrival, shelf: `${address.pathname}?${key}` };
}

/** What is said in which language, in the page's frame. */
function dress(said) {
  words.words = said.words;
  page.kiosk = Boolean(said.kiosk);
  document.documentElement.lang = said.language;
  document.documentElement.dir = said.direction;
  document.title = said.title;
  element("title").textContent = said.title;
  paint(said.background_grey ?? said.showing?.background_grey ?? 128);
}

const offline = () => notices.say("offline");

async function welcome(language) {
  const query = new URLSearchParams({ recruiter: page.recruiter, ...page.arrival });
  if (language) query.set("language", language);
  const said = await persist(() => get(`api/welcome?${query}`), offline);
  notices.clear();
  return said;
}

/** The first language of the browser's that the study has; null where it has none of them. */
function preferred(languages) {
  for (const tag of navigator.languages || []) {
    const found = languages.find((other) => other.toLowerCase() === tag.toLowerCase()) ??
      languages.find((other) => other.toLowerCase() === tag.toLowerCase().split("-")[0]);
    if (found) return found;
  }
  return null;
}

/** Information and consent. Resolves to a token, or null where somebody does not take part. */
async function invite() {
  const asked = page.store.get("language") ?? new URL(location.href).searchParams.get("language");
  let said = await welcome(asked);
  const wanted = asked ? null : preferred(said.languages);
  if (wanted && wanted !== said.language) said = await welcome(wanted);
  for (;;) {
    dress(said);
    const other = new Promise((resolve) => {
      tools.clear();
      if (page.kiosk) tools.fullScreen();
      tools.languages(said.languages, said.language, resolve);
    });
    const outcome = await Promise.race([other.then((language) => ({ language })), decide(said)]);
    if (!("language" in outcome)) return outcome.token;
    page.store.set("language", outcome.language);
    said = await welcome(outcome.language);
  }
}

async function decide(said) {
  if (said.state === "paused" || said.state === "full") {
    const already = await screens.message(said.state, said.title, words.get(said.state), [[words.get("already_begun"), true]]);
    if (!already) return { token: null };
  }
  let from = 0;
  for (;;) {
    await screens.pages("information", said.title, said.information, { from });
    if (said.state === "preview") {
      await screens.message("preview", said.title, words.get("preview"), [[words.get("back"), true]]);
      continue;
    }
    const chosen = await screens.consent(said.consent);
    if (chosen === "decline") {
      tools.clear();
      await screens.message("declined", "", words.get("declined"));
      return { token: null };
    }
    from = said.information.length - 1;
    if (chosen === "agree") return join(said);
  }
}

async function join(said) {
  screens.connecting();
  const joining = {
    recruiter: page.recruiter, arrival: page.arrival, language: said.language, consent: said.consent.map(() => true),
  };
  try {
    const { token } = await persist(() => post("api/join", joining), offline);
    notices.clear();
    return { token };
  } catch (error) {
    notices.clear();
    tools.clear();
    const known = { paused: "paused", full: "full", finished: "finished", taken_part: "finished", withdrawn: "withdrawn", erased: "withdrawn" };
    const word = known[error.kind];
    if (!word) throw error;
    await screens.message(word, "", words.get(word), page.kiosk ? [[words.get("next_participant"), true]] : []);
    location.assign(location.pathname);
    return { token: null };
  }
}

/** In the laboratory: asks for the participant's label where the address has none. */
async function label() {
  if (page.recruiter !== "lab" || page.arrival.label) return;
  page.arrival = { label: "0" }; // nothing is written by asking what is said
  dress(await welcome(null));
  tools.clear();
  tools.fullScreen();
  const typed = await screens.label();
  history.replaceState(null, "", `${location.pathname}?label=${encodeURIComponent(typed)}`);
  Object.assign(page, arrivalOf(new URL(location.href)));
}

async function start() {
  Object.assign(page, arrivalOf(new URL(location.href)));
  screens.connecting();
  await label();
  page.store = new Store(page.shelf);
  for (;;) {
    page.token = page.store.get("token");
    const session = page.token ? await sessionOf(page.token, offline) : null;
    notices.clear();
    if (session) {
      dress(session);
      tools.clear();
      const how = await takePart(page, session);
      if (how === "end") return;
      tools.clear();
      progress.hide();
      notices.clear();
      if (how === "taken_over") {
        await screens.message("taken_over", session.title, words.get("taken_over"), [[words.get("go_on_here"), true]]);
      }
      location.reload(); // a page anew: nothing of the old one still runs
      return;
    }
    page.store.remove("token");
    const token = await invite();
    if (!token) return;
    page.store.set("token", token);
    page.token = token;
  }
}

start().catch(async (error) => {
  console.error(error);
  await screens.message("trouble", words.get("trouble"), error.message, [[words.get("retry"), true]]);
  location.reload();
});
