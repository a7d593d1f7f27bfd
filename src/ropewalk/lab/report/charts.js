// -- charts: lines over time, drawn as SVG for the width there is

const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

// A straight line of a class.
function rule(kind, x1, y1, x2, y2) {
  return make("line", { class: kind, x1, y1, x2, y2 });
}

// Margins: names of lines stand to the right where there is room, above where there is not.
function boxOf(plot, height) {
  const whole = plot.clientWidth;
  const narrow = whole < 640;
  const left = narrow ? 40 : 56;
  const right = narrow ? 6 : 132;
  return { whole, narrow, left, right, top: 8, height, width: Math.max(20, whole - left - right) };
}

// An empty drawing as wide as its place.
function canvasOf(box, height) {
  return make("svg", { width: box.whole, height, viewBox: `0 0 ${box.whole} ${height}` });
}

function xOf(view, box) {
  const factor = box.width / (view.to - view.from);
  return (time) => box.left + (time - view.from) * factor;
}

// A path through steps (t, v). Where more than one step falls on a pixel, its column shows the
// first, least, largest and last value, so that no peak is lost.
function stepPath(line, view, box, y) {
  const { t, v } = line;
  const x = xOf(view, box);
  const first = Math.max(0, lowerBound(t, view.from) - 1);
  const last = lowerBound(t, view.to);
  if (first >= last) return "";
  const right = box.left + box.width;
  const place = (index) => Math.min(right, Math.max(box.left, x(t[index])));
  let path = `M${place(first).toFixed(1)} ${y(v[first]).toFixed(1)}`;
  let index = first + 1;
  while (index < last) {
    const column = Math.floor(place(index));
    let [least, largest] = [v[index], v[index]];
    const begin = index;
    while (index < last && Math.floor(place(index)) === column) {
      least = Math.min(least, v[index]);
      largest = Math.max(largest, v[index]);
      index++;
    }
    path += `H${place(begin).toFixed(1)}V${y(v[begin]).toFixed(1)}`;
    if (index - begin > 2) path += `V${y(least).toFixed(1)}V${y(largest).toFixed(1)}`;
    if (index - begin > 1) path += `V${y(v[index - 1]).toFixed(1)}`;
  }
  const end = line.ends ?? view.to;
  return `${path}H${Math.min(right, Math.max(box.left, x(Math.min(end, view.to)))).toFixed(1)}`;
}

function largestSeen(line, view) {
  const { t, v } = line;
  let largest = 0;
  const last = lowerBound(t, view.to);
  for (let index = Math.max(0, lowerBound(t, view.from) - 1); index < last; index++) {
    if (v[index] > largest) largest = v[index];
  }
  return largest;
}

function valueAt(line, time) {
  const index = lowerBound(line.t, time) - (line.t[lowerBound(line.t, time)] === time ? 0 : 1);
  return index < 0 || time > (line.ends ?? Infinity) ? null : line.v[index];
}

// A chart of lines [{name, t, v, look, area, faint}] with one unit.
function drawLines(figure, view, { lines, unit, note = "", height = 120, limits = [] }) {
  const plot = figure.querySelector(".plot");
  const box = boxOf(plot, height);
  const seen = lines.filter((line) => line.t.length);
  const largest = Math.max(1e-12, ...seen.map((line) => largestSeen(line, view)), ...limits);
  const [factor, unitName] = scaleOf(unit, largest);
  const step = niceStep((largest / factor) * 1.06, box.narrow ? 3 : 4);
  const top = Math.ceil(((largest / factor) * 1.02) / step) * step * factor;
  const y = (value) => box.top + height - (Math.max(0, value) / top) * height;
  figure.querySelector(".unit").textContent = note ? `${unitName}, ${note}` : unitName;

  const svg = frame(plot, box, view, `${figure.querySelector(".title").textContent} over time`);
  for (let tick = 0; tick <= top / factor + step / 2; tick += step) {
    const at = y(tick * factor);
    svg.append(rule("grid", box.left, at, box.left + box.width, at));
    const label = { class: "tick", x: box.left - 6, y: at + 4, "text-anchor": "end" };
    svg.append(make("text", label, significant(tick)));
  }
  for (const limit of limits) {
    const at = y(limit);
    svg.append(rule("limit", box.left, at, box.left + box.width, at));
  }
  for (const line of seen) {
    const path = stepPath(line, view, box, y);
    if (!path) continue;
    if (line.area) {
      const start = path.slice(1).split(" ")[0];
      svg.append(make("path", { class: `area ${line.look}`, d: `${path}V${y(0)}H${start}Z` }));
    }
    svg.append(make("path", { class: `line ${line.look}${line.faint ? " faint" : ""}`, d: path }));
  }
  nameLines(svg, figure, seen, view, box, y);
  readOut(figure, seen, view, unit);
  plot.replaceChildren(svg);
}

// The empty chart: light lines at the ticks of time, and what the pointer points at.
function frame(plot, box, view, title) {
  const bottom = box.top + box.height;
  // On paper the axis at the end may be on another page: each chart has its own.
  const whole = bottom + (view.printing ? 18 : 8);
  const svg = canvasOf(box, whole);
  svg.setAttribute("role", "img");
  svg.append(make("title", {}, title));
  const x = xOf(view, box);
  for (const { time, text } of timeTicks(view, box)) {
    svg.append(rule("grid", x(time), box.top, x(time), bottom));
    if (!view.printing) continue;
    const label = { class: "tick", x: x(time), y: whole - 3, "text-anchor": "middle" };
    svg.append(make("text", label, `${text} s`));
  }
  for (const [time] of view.happenings) {
    if (time < view.from || time > view.to) continue;
    svg.append(rule("happening", x(time), box.top, x(time), bottom));
  }
  if (view.brush) {
    const [from, to] = view.brush.map(x);
    const size = { width: to - from, height: box.height };
    svg.append(make("rect", { class: "brush", x: from, y: box.top, ...size }));
  } else if (view.cursor !== null) {
    const at = x(view.cursor);
    svg.append(rule("cursor", at, box.top, at, bottom));
  }
  return svg;
}

// Names at the right end of their lines, moved apart where they would touch.
function nameLines(svg, figure, lines, view, box, y) {
  const legend = figure.querySelector(".legend");
  legend.replaceChildren();
  if (box.narrow || lines.some((line) => line.name.length > 18)) {
    for (const line of lines) {
      const key = document.createElement("span");
      key.className = `sample ${line.look}${line.faint ? " faint" : ""}`;
      key.textContent = line.name;
      const sample = make("svg", { width: 18, height: 6, "aria-hidden": "true" });
      sample.append(rule(`line ${line.look}`, 0, 3, 18, 3));
      key.prepend(sample);
      legend.append(key);
    }
    return;
  }
  const names = lines
    .map((line) => {
      const value = line.level ?? valueAt(line, view.to) ?? line.v[line.v.length - 1];
      return { line, at: y(value) };
    })
    .sort((one, other) => one.at - other.at);
  const gap = 14;
  names.forEach((name, index) => {
    if (index) name.at = Math.max(name.at, names[index - 1].at + gap);
  });
  const lowest = box.top + box.height + 4;
  for (let index = names.length - 1; index >= 0; index--) {
    const most = index === names.length - 1 ? lowest : names[index + 1].at - gap;
    names[index].at = Math.min(names[index].at, most);
  }
  for (const { line, at } of names) {
    const place = { class: `name ${line.look}`, x: box.left + box.width + 8, y: at + 4 };
    svg.append(make("text", place, line.name));
  }
}

function readOut(figure, lines, view, unit) {
  const place = figure.querySelector(".readout");
  if (view.cursor === null || view.brush) {
    place.textContent = "";
    return;
  }
  const parts = lines.map((line) => {
    const value = valueAt(line, view.cursor);
    return value === null ? null : `${line.name} ${withUnit(unit, value)}`;
  });
  const when = `${timeText(view.cursor, (view.to - view.from) / 500)}${NARROW}s`;
  place.textContent = [when, ...parts.filter(Boolean)].join(" · ");
}

// -- time

function timeTicks(view, box) {
  const step = niceStep(view.to - view.from, Math.max(2, Math.floor(box.width / 84)));
  const ticks = [];
  for (let n = Math.ceil(view.from / step - 1e-9); n * step <= view.to + step * 1e-9; n++) {
    ticks.push({ time: n * step, text: timeText(n * step, step) });
  }
  return ticks;
}

function drawAxis(place, view) {
  const box = boxOf(place, 18);
  const x = xOf(view, box);
  const svg = canvasOf(box, 22);
  for (const { time, text } of timeTicks(view, box)) {
    svg.append(rule("stroke", x(time), 0, x(time), 4));
    const label = { class: "tick", x: x(time), y: 17, "text-anchor": "middle" };
    svg.append(make("text", label, text));
  }
  const unit = box.narrow
    ? { class: "tick", x: 2, y: 17, "text-anchor": "start" }
    : { class: "tick", x: box.whole, y: 17, "text-anchor": "end" };
  svg.append(make("text", unit, box.narrow ? "s" : "seconds"));
  place.replaceChildren(svg);
}

// What happened once: a stroke each, with its name where there is room in one of the rows.
function drawMoments(place, view, moments) {
  const box = boxOf(place, 0);
  const x = xOf(view, box);
  const bottom = 52;
  const svg = canvasOf(box, bottom);
  const taken = [[], [], []];
  const shown = moments.filter(([time]) => time >= view.from && time <= view.to).slice(0, 400);
  // Those of the scenario first: they get the room.
  for (const [time, text, weight] of shown.sort((one, other) => other[2] - one[2])) {
    const at = x(time);
    const wide = 8 + text.length * (weight ? 7 : 6.4);
    const fits = (row) => taken[row].every(([from, to]) => at > to || at + wide < from);
    const row = at + wide > box.whole ? -1 : [0, 1, 2].findIndex(fits);
    const kind = weight ? " heavy" : "";
    const stroke = rule(`stroke${kind}`, at, row < 0 ? 44 : 4 + 14 * row, at, bottom);
    stroke.append(make("title", {}, `${text}, ${time.toFixed(6)} s`));
    svg.append(stroke);
    if (row < 0) continue;
    taken[row].push([at - 3, at + wide]);
    svg.append(make("text", { class: `moment${kind}`, x: at + 4, y: 13 + row * 14 }, text));
  }
  place.hidden = !moments.length;
  place.replaceChildren(svg);
}
