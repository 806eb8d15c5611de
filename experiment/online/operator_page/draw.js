// Drawings in SVG. Whatever comes from people or the database is set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  for (const child of children) element.append(child);
  return element;
}

/** A bar in parts: [class, share of the whole] from the left. */
export function scale(label, parts) {
  const bar = svg("svg", { class: "scale", viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": label });
  let left = 0;
  for (const [kind, share] of parts) {
    const width = Math.max(0, Math.min(100 - left, 100 * share));
    bar.append(svg("rect", { class: kind, x: left, y: 0, width, height: 10 }));
    left += width;
  }
  return bar;
}

/** Round steps for an axis from 0 to at least `most`, about `n` of them. */
export function steps(most, n) {
  const raw = Math.max(most, 1e-9) / n;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw - 1e-12);
  const found = [];
  for (let value = 0; found.length === 0 || found.at(-1) < most - 1e-9; value += step) found.push(value);
  return found;
}

function clockTimes(begin, end, width) {
  const choices = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080].map((minutes) => minutes * 60000);
  const step = choices.find((choice) => (end - begin) / choice <= width / (width < 400 ? 72 : 95)) ?? choices.at(-1);
  const zone = new Date(begin).getTimezoneOffset() * 60000;
  const found = [];
  for (let at = Math.ceil((begin - zone) / step) * step + zone; at <= end; at += step) found.push(at);
  const days = step >= 86400000;
  const format = new Intl.DateTimeFormat(undefined, days ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" });
  return found.map((at) => [at, format.format(at)]);
}

/** How many joined and finished by when. */
export function recruitmentChart(place, found, quota, nowMs) {
  const width = Math.max(260, place.clientWidth), height = place.clientHeight || 230;
  const times = found.minutes_ago.map((minutes) => nowMs - minutes * 60000);
  const begin = times[0], end = times.at(-1);
  const highest = found.joined_by.at(-1);
  const most = Math.max(4, highest, quota <= 1.6 * Math.max(highest, 1) ? quota : 0);
  const ticks = steps(most, 4).filter((value) => Number.isInteger(value));
  const top = ticks.at(-1);
  const left = 14 + 8 * String(top).length, right = width - 12, above = 14, below = height - 24;
  const x = (at) => left + ((right - left) * (at - begin)) / (end - begin || 1);
  const y = (n) => below - ((below - above) * n) / top;
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${found.joined} joined, ${found.finished} finished, ${quota} places in all` });
  for (const tick of ticks) {
    chart.append(svg("line", { class: tick ? "grid" : "axis", x1: left, x2: right, y1: y(tick), y2: y(tick) }));
    chart.append(svg("text", { x: left - 7, y: y(tick) + 4, "text-anchor": "end" }, String(tick)));
  }
  for (const [at, label] of clockTimes(begin, end, right - left)) {
    chart.append(svg("line", { class: "axis", x1: x(at), x2: x(at), y1: below, y2: below + 4 }));
    const anchor = x(at) > right - 22 ? "end" : x(at) < left + 18 ? "start" : "middle";
    chart.append(svg("text", { x: x(at), y: height - 5, "text-anchor": anchor }, label));
  }
  const path = (counts) => counts.map((n, step) => `${step ? "H" + x(times[step]).toFixed(1) + "V" : "M" + x(times[0]).toFixed(1) + " "}${y(n).toFixed(1)}`).join("");
  if (quota <= top) chart.append(svg("line", { class: "quota", x1: left, x2: right, y1: y(quota), y2: y(quota) }));
  chart.append(svg("path", { class: "under", d: `${path(found.finished_by)}V${below}H${left}Z` }));
  chart.append(svg("path", { class: "finished", d: path(found.finished_by) }));
  chart.append(svg("path", { class: "joined", d: path(found.joined_by) }));
  if (quota > top) chart.append(svg("text", { class: "backed", x: right, y: above - 2, "text-anchor": "end" }, `${quota} places in all`));
  const line = svg("line", { class: "at", y1: above, y2: below, visibility: "hidden" });
  const said = svg("text", { class: "strong backed", y: above + 8, visibility: "hidden" });
  chart.append(line, said);
  const format = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const at = ((event.clientX - box.left) * width) / box.width;
    const step = Math.max(0, Math.min(times.length - 1, Math.round(((at - left) / (right - left)) * (times.length - 1))));
    const here = x(times[step]), late = here > (left + right) / 2;
    line.setAttribute("x1", here); line.setAttribute("x2", here);
    said.setAttribute("x", here + (late ? -8 : 8)); said.setAttribute("text-anchor", late ? "end" : "start");
    said.textContent = `${format.format(times[step])}: ${found.joined_by[step]} joined, ${found.finished_by[step]} finished`;
    line.setAttribute("visibility", "visible"); said.setAttribute("visibility", "visible");
  });
  chart.addEventListener("pointerleave", () => { line.setAttribute("visibility", "hidden"); said.setAttribute("visibility", "hidden"); });
  place.replaceChildren(chart);
}

/** How people's median reaction times lie. */
export function reactionTimes(place, medians, middle, impossible) {
  const width = Math.max(220, place.clientWidth), height = place.clientHeight || 230;
  const sorted = [...medians].sort((one, other) => one - other);
  const far = sorted[Math.floor(0.97 * (sorted.length - 1))] * 1.15;  // a few very slow people do not squeeze the rest
  const ticks = steps(Math.max(far, middle * 1.3), 5), top = ticks.at(-1);
  const nBins = Math.max(8, Math.min(30, Math.round(width / 15)));
  const bins = new Array(nBins).fill(0);
  for (const value of sorted) bins[Math.min(nBins - 1, Math.floor((value / top) * nBins))] += 1;
  const most = Math.max(...bins);
  const left = 8, right = width - 8, above = 26, below = height - 24;
  const x = (value) => left + ((right - left) * value) / top;
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `median of ${sorted.length} people: ${middle} s` });
  if (impossible > 0) chart.append(svg("rect", { class: "impossible", x: left, y: above, width: Math.max(0, x(impossible) - left), height: below - above }));
  bins.forEach((n, bin) => {
    const high = ((below - above) * n) / most;
    chart.append(svg("rect", { class: "bin", x: x((bin * top) / nBins) + 1, y: below - high, width: (right - left) / nBins - 2, height: high, rx: 1.5 }));
  });
  chart.append(svg("line", { class: "axis", x1: left, x2: right, y1: below, y2: below }));
  for (const tick of ticks) {
    const anchor = tick === 0 ? "start" : tick === top ? "end" : "middle";
    chart.append(svg("text", { x: x(tick), y: height - 5, "text-anchor": anchor }, `${+tick.toFixed(3)}${tick === top ? " s" : ""}`));
  }
  const anchor = x(middle) > width - 70 ? "end" : x(middle) < 70 ? "start" : "middle";
  chart.append(svg("line", { class: "middle", x1: x(middle), x2: x(middle), y1: above - 6, y2: below }));
  chart.append(svg("text", { class: "strong backed", x: x(middle), y: above - 11, "text-anchor": anchor }, `median ${middle.toFixed(2)} s`));
  place.replaceChildren(chart);
}
