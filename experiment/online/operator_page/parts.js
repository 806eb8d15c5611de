// The parts of the page, made of what the server tells. Whatever comes from people or the database is set as text, never as markup.

import { reactionTimes, recruitmentChart, scale } from "./draw.js";

const FLAGS = {
  attention: ["Attention checks", "answered otherwise than the check asked for"],
  impossible_rt: ["Impossible times", "answers sooner than a person can give them"],
  hidden: ["Page hidden", "the page was hidden or left during trials"],
  same_answer: ["Same answer", "one and the same answer to most images"],
  clock: ["Page's clock", "the page and the server disagree about how much time passed"],
  conflict: ["Conflicting answers", "a trial was sent again with another answer; the first one stays"],
  mismatch: ["Impossible answers", "an answer that was not offered, or to a trial that was not assigned; nothing was stored"],
  out_of_order: ["Out of order", "answers that skip trials; nothing was stored"],
  unknown_token: ["Forged tokens", "requests with a token that nobody has, or one that is void because the person came again elsewhere"],
  unknown_asset: ["Guessed images", "requests for images that the session does not show"],
  unknown_recruiter: ["Unknown entrances", "requests in the name of a recruiter that is not open"],
  refused_arrival: ["Refused arrivals", "an address without what the recruiter gives people, or with something made up"],
  malformed: ["Malformed requests", "nothing that the page sends; nothing was stored"],
  too_large: ["Oversized requests", "nothing that the page sends; nothing was stored"],
  forged_operator_token: ["Guessed operator tokens", "somebody tries to open this page"],
};

const RULES = { attention_failures: "attention", impossible_share: "impossible times", one_answer_share: "one answer", hidden_share: "page hidden" };

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const none = (said) => element("p", "none", said);
const plural = (n, one, many = one + "s") => `${n} ${n === 1 ? one : many}`;
const sentence = (name) => name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());

function ago(minutes) {
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${Math.round(minutes)} min ago`;
  if (minutes < 2880) return `${Math.round(minutes / 60)} h ago`;
  return `${Math.round(minutes / 1440)} days ago`;
}

function pseudonym(who, n = 1) {
  const made = element("span", "who", who);
  if (n > 1) made.append(element("em", "", `×${n}`));
  return made;
}

/** Parts by the place that they fill; each gets (place, what the server told). */
export const PARTS = {
  tiles(place, told) {
    const found = told.recruitment, speed = told.speed;
    const quota = told.lists.reduce((sum, list) => sum + list.quota, 0);
    const tiles = [
      ["counted", "main", String(found.counted), `/ ${quota}`, found.surplus ? `and ${found.surplus} more` : "valid completions"],
      ["here now", "", String(found.here), "", found.away ? `${found.away} away, unfinished` : "nobody away"],
      ["joined", "", String(found.joined), "", Object.entries(found.recruiters).map(([name, n]) => `${n} ${name}`).join(", ")],
      ["finished", "", String(found.finished), "", found.withdrawn ? `${found.withdrawn} withdrawn` : "nobody withdrew"],
      ["excluded", "", String(found.excluded), found.finished ? `${Math.round((100 * found.excluded) / found.finished)} %` : "", Object.entries(found.excluded_for).map(([rule, n]) => `${n} ${RULES[rule] ?? sentence(rule).toLowerCase()}`).join(", ") || "by the study's rules"],
      ["duration", "", speed.median_minutes === null ? "–" : speed.median_minutes.toFixed(1), speed.median_minutes === null ? "" : "min", "median, when finished"],
      ["answers / min", "", speed.answers_per_minute.toFixed(speed.answers_per_minute < 10 ? 1 : 0), "", `${speed.answers.toLocaleString()} in all`],
      ["median RT", "", speed.rt_median_s === null ? "–" : speed.rt_median_s.toFixed(2), speed.rt_median_s === null ? "" : "s", "main trials"],
    ];
    place.replaceChildren(...tiles.map(([name, kind, value, unit, beside]) => {
      const number = element("div", "value", value);
      if (unit) number.append(element("small", "", unit));
      return element("div", `tile ${kind}`, element("div", "name", name), number, element("div", "beside", beside));
    }));
  },

  recruitment(place, told) {
    if (told.recruitment.joined === 0) return place.replaceChildren(none("Nobody has come yet."));
    recruitmentChart(place, told.recruitment, told.lists.reduce((sum, list) => sum + list.quota, 0), told.now_ms);
  },

  speed(place, told) {
    const { rt_medians_s: medians, rt_median_s: middle } = told.speed;
    if (middle === null) return place.replaceChildren(none("No answers yet."));
    reactionTimes(place, medians, middle, told.impossible_rt_s);
  },

  lists(place, told) {
    const conditions = new Set(told.lists.map((list) => list.condition));
    place.replaceChildren(...told.lists.map((list) => {
      const rest = [["excluded", list.excluded], ["withdrawn", list.withdrawn], ["beyond the quota", list.surplus], ["gone without finishing", list.lapsed]]
        .filter(([, n]) => n > 0).map(([name, n]) => `${n} ${name}`);
      const name = element("span", "name", list.list_id.replaceAll("_", " "));
      const label = `${list.counted} of ${list.quota} counted, ${list.active} under way`;
      const row = element("div", "list", name,
        scale(label, [["counted", list.counted / list.quota], ["active", list.active / list.quota]]),
        element("span", "count", `${list.counted}`, element("small", "", ` / ${list.quota}${list.active ? `, ${list.active} under way` : ""}`)));
      if (conditions.size > 1 && !list.list_id.includes(list.condition)) rest.unshift(list.condition);
      if (rest.length) row.append(element("span", "rest", rest.join(" · ")));
      return row;
    }));
  },

  flags(place, told) {
    const open = new Set([...place.querySelectorAll("details[open]")].map((item) => item.dataset.kind));
    if (told.flags.length === 0) return place.replaceChildren(none("Nothing was flagged."));
    place.replaceChildren(...told.flags.map((flag) => {
      const [name, meaning] = Object.hasOwn(FLAGS, flag.kind) ? FLAGS[flag.kind] : [sentence(flag.kind), ""];
      const people = [flag.people ? plural(flag.people, "person", "people") : "", flag.nobody ? `${flag.nobody} by nobody known` : ""].filter(Boolean);
      const inside = element("div", "inside");
      if (meaning) inside.append(element("p", "", sentence(meaning) + "."));
      for (const detail of flag.details) inside.append(element("p", "", detail));
      for (const session of flag.sessions) inside.append(pseudonym(session.who, session.n));
      if (flag.people > flag.sessions.length) inside.append(element("p", "", `and ${flag.people - flag.sessions.length} more`));
      const summary = element("summary", "", element("span", "", element("b", "", name), element("small", "", `${people.join(", ")} · ${flag.n > 1 && flag.minutes_ago >= 1 ? "last " : ""}${ago(flag.minutes_ago)}`)), element("span", "n", String(flag.n)));
      const item = element("details", "", summary, inside);
      item.dataset.kind = flag.kind;
      item.open = open.has(flag.kind);
      return item;
    }));
  },

  people(place, told) {
    const { n, rows } = told.people;
    document.getElementById("people-n").textContent = n ? plural(n, "person", "people") + (rows.length < n ? `, the latest ${rows.length} shown` : "") : "";
    if (n === 0) return place.replaceChildren(none("Nobody is in the study now."));
    const head = element("tr", "", ...[["person", ""], ["list", "optional"], ["progress", ""], ["", "number"], ["since", "number optional"], ["last heard", "number"], ["flags", "number"]]
      .map(([name, kind]) => element("th", kind, name)));
    const body = rows.map((row) => {
      const heard = row.quiet_s < 60 ? `${row.quiet_s} s` : ago(row.quiet_s / 60).replace(" ago", "");
      return element("tr", row.here ? "" : "away",
        element("td", "", pseudonym(row.who)),
        element("td", "optional", row.list_id.replaceAll("_", " ")),
        element("td", "progress", scale(`${row.held} of ${row.trials} trials`, [["progress", row.held / row.trials]])),
        element("td", "number", `${row.held}/${row.trials}`),
        element("td", "number optional", row.minutes < 600 ? `${Math.round(row.minutes)} min` : ago(row.minutes).replace(" ago", "")),
        element("td", "number", heard),
        element("td", "number", row.flags ? String(row.flags) : ""));
    });
    const scrolled = place.firstElementChild?.scrollTop ?? 0;
    place.replaceChildren(element("div", "scroll", element("table", "", element("thead", "", head), element("tbody", "", ...body))));
    place.firstElementChild.scrollTop = scrolled;
  },

  comments(place, told) {
    const { n, rows } = told.comments;
    document.getElementById("comments-n").textContent = rows.length < n ? `the latest ${rows.length} of ${n}` : n ? String(n) : "";
    if (n === 0) return place.replaceChildren(none("No comments yet."));
    const scrolled = place.firstElementChild?.scrollTop ?? 0;
    place.replaceChildren(element("div", "scroll", ...rows.map((row) => {
      const text = element("div", "", row.text);
      text.dir = "auto";
      return element("blockquote", "", text, element("footer", "", pseudonym(row.who), `${row.language} · ${ago(row.minutes_ago)}`));
    })));
    place.firstElementChild.scrollTop = scrolled;
  },
};

/** What a part is shown from: it is drawn anew only when that changes. */
export const SHOWN_FROM = {
  tiles: ["recruitment", "speed", "lists"], recruitment: ["recruitment", "lists"], speed: ["speed"], lists: ["lists"],
  flags: ["flags"], people: ["people"], comments: ["comments"],
};
