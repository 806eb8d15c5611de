// Asks the server every few seconds, and hands on what it tells. The token comes from the address's fragment, which browsers send to nobody.

import { PARTS, SHOWN_FROM } from "./parts.js";

const EVERY_MS = 2000, SLOWEST_MS = 30000, LATEST_MS = 15000;
const at = (id) => document.getElementById(id);

let token = takeToken();
let told = null, failures = 0, timer = 0, asking = false;
const drawn = {};

function takeToken() {
  const given = decodeURIComponent(location.hash.slice(1));
  if (given) {
    sessionStorage.setItem("operator", given);                  // of this tab alone: a reload keeps it
    history.replaceState(null, "", location.pathname);          // it is not to be read off a projector
  }
  return given || sessionStorage.getItem("operator") || "";
}

async function ask(path, body) {
  const options = { headers: { Authorization: `Bearer ${token}` }, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(LATEST_MS) };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  const content = await answer.json().catch(() => ({}));
  return { status: answer.status, content };
}

async function look() {
  clearTimeout(timer);
  if (asking || !token) return;
  asking = true;
  try {
    const { status, content } = await ask("api/watch");
    if (status === 401 || status === 429) return lock(content.said ?? "The token is wrong.");
    if (status !== 200) throw new Error(content.said ?? `the server answered ${status}`);
    failures = 0;
    told = content;
    at("connection").hidden = true;
    show();
  } catch (error) {
    failures += 1;
    at("desk").hidden = false;
    at("connection").hidden = failures < 2;
    const stale = told ? ` What is shown is of ${new Date(told.now_ms).toLocaleTimeString()}.` : "";
    at("connection").textContent = `The server does not answer (${error.message}); trying again.${stale}`;
  } finally {
    asking = false;
  }
  const wait = failures ? Math.min(SLOWEST_MS, EVERY_MS * 2 ** (failures - 1)) : EVERY_MS;
  if (!document.hidden) timer = setTimeout(look, wait);
}

function lock(why) {
  sessionStorage.removeItem("operator");
  token = "";
  at("desk").hidden = true;
  at("locked").hidden = false;
  at("locked-why").textContent = why ? `The server says: ${why}.` : "";
}

function show() {
  at("desk").hidden = false;
  at("locked").hidden = true;
  document.title = `${told.recruitment ? `${told.recruitment.counted} counted · ` : ""}${told.study.title}`;
  at("title").textContent = told.study.title;
  at("task").textContent = told.study.task;
  at("folder").textContent = told.folder;
  at("simulated").hidden = !told.simulated;
  const states = { open: "Open", paused: "Paused", full: "All places taken" };
  at("openness").className = `pill ${told.openness}`;
  at("openness").textContent = states[told.openness] ?? told.openness;
  at("pause").textContent = told.paused ? "Go on" : "Pause";
  showExport();
  const troubles = told.troubles.map((trouble) => {
    const item = document.createElement("li");
    item.className = trouble.level;
    item.textContent = trouble.said;
    return item;
  });
  if (changed("troubles", told.troubles)) at("troubles").replaceChildren(...troubles);
  at("updated").textContent = `As of ${new Date(told.now_ms).toLocaleTimeString()}`;
  draw(false);
}

function draw(anew) {
  if (!told?.recruitment) return;
  for (const [id, keys] of Object.entries(SHOWN_FROM)) {
    if (changed(id, keys.map((key) => told[key])) || anew) PARTS[id](at(id), told);
  }
}

function changed(id, value) {
  const text = JSON.stringify(value);
  if (drawn[id] === text) return false;
  drawn[id] = text;
  return true;
}

function showExport() {
  const { running, done, of, at_ms: when, people, answers, removed, where, problem } = told.export;
  at("export").disabled = running;
  at("export").textContent = running ? (of ? `Exporting ${done}/${of}` : "Exporting …") : "Export";
  const line = at("exported");
  line.hidden = running || when === null;
  line.className = problem ? "line alarm" : "line";
  if (line.hidden) return;
  const gone = removed ? ` Files of ${removed} who were erased are gone.` : "";
  line.textContent = problem ? `Export: ${problem}`
    : `Exported at ${new Date(when).toLocaleTimeString()}: ${people.toLocaleString()} people, ${answers.toLocaleString()} answers, to ${where}.${gone}`;
}

async function act(button, path, body) {
  button.disabled = true;
  try {
    const { status, content } = await ask(path, body);
    if (status >= 400) throw new Error(content.said ?? `the server answered ${status}`);
  } catch (error) {
    at("connection").hidden = false;
    at("connection").textContent = `That was not done: ${error.message}.`;
    failures = Math.max(failures, 1);
  } finally {
    button.disabled = false;
  }
  asking = false;
  await look();
}

function sure(question, yes) {
  at("ask-text").textContent = question;
  at("ask-yes").textContent = yes;
  at("ask").showModal();
  return new Promise((resolve) => {
    const end = (answer) => { at("ask").close(); resolve(answer); };
    at("ask-yes").onclick = () => end(true);
    at("ask-no").onclick = () => end(false);
    at("ask").oncancel = () => resolve(false);
  });
}

at("pause").addEventListener("click", async () => {
  if (!told) return;
  const pausing = !told.paused;
  if (pausing && !(await sure("Nobody new is let in while the study is paused. Whoever is in it goes on to the end.", "Pause"))) return;
  await act(at("pause"), "api/pause", { paused: pausing });
});
at("export").addEventListener("click", () => act(at("export"), "api/export", {}));
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
addEventListener("hashchange", () => { token = takeToken(); look(); });
let resizing = 0;
addEventListener("resize", () => { cancelAnimationFrame(resizing); resizing = requestAnimationFrame(() => draw(true)); });

if (token) look();
else lock("");
