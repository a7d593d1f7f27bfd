// -- the page: which lines each chart has, and what its buttons do

// Bits per second in windows of about six pixels, from packets of one direction.
function ratesOf(trace, direction, column, view, width) {
  const rows = trace.rows[direction];
  const { t } = trace.packets;
  const values = trace.packets[column];
  const window = niceStep(view.to - view.from, Math.max(20, width / 6));
  const first = Math.floor(view.from / window);
  const count = Math.ceil(view.to / window) - first + 1;
  const sums = new Float64Array(count);
  const last = lowerBound(rows, (first + count) * window, (index) => t[rows[index]]);
  let index = lowerBound(rows, first * window, (each) => t[rows[each]]);
  for (; index < last; index++) {
    const place = Math.min(count - 1, Math.max(0, Math.floor(t[rows[index]] / window) - first));
    sums[place] += (values[rows[index]] * 8) / window;
  }
  // The name of the line stands at its usual height, for the last window is often cut.
  const level = sums.filter(Boolean).sort();
  return {
    t: Float64Array.from(sums, (_, each) => (first + each) * window),
    v: sums,
    window,
    level: level.length ? level[level.length >> 1] : 0,
    ends: trace.ends,
  };
}

function drawThroughput(figure, view, box) {
  const { trace } = view;
  const main = trace.bytes.sent >= trace.bytes.received ? "sent" : "received";
  const lines = [
    { name: "sent", look: "look-0", ...ratesOf(trace, "sent", "size", view, box.width) },
    { name: "received", look: "look-1", ...ratesOf(trace, "received", "size", view, box.width) },
  ];
  lines[main === "sent" ? 0 : 1].area = true;
  const fresh = ratesOf(trace, main, "fresh", view, box.width);
  lines.push({ name: `new data ${main}`, look: "look-2", ...fresh });
  const note = `in windows of ${withUnit("seconds", lines[0].window)}`;
  drawLines(figure, view, { lines, unit: "bit/s", note, height: 130 });
}

// The new data of each connection: how they share what there is.
function drawFlows(figure, view, data, box) {
  const lines = data.connections.slice(0, 12).map((members, index) => {
    const traces = members.map((each) => data.traces[each]);
    const sender = traces.reduce((one, other) => (other.bytes.sent > one.bytes.sent ? other : one));
    const direction = sender.bytes.sent >= sender.bytes.received ? "sent" : "received";
    const look = `look-${index % 6} stroke-${Math.floor(index / 6)}`;
    const rates = ratesOf(sender, direction, "fresh", view, box.width);
    return { ...rates, look, name: sender.name || `#${index + 1}` };
  });
  drawLines(figure, view, { lines, unit: "bit/s", height: 110 });
}

// One line for each path and quantity; the look tells the path, strokes the quantity.
function pathLines(trace, quantities) {
  const paths = trace.paths
    .filter((path) => quantities.some(({ key }) => path[key].t.length))
    .sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
  const lines = [];
  paths.forEach((path, index) => {
    quantities.forEach(({ key, name, ...rest }, number) => {
      if (!path[key].t.length) return;
      const many = paths.length > 1;
      const look = `look-${many ? index % 6 : rest.colour} stroke-${number}`;
      const label = many ? `${name}, ${path.name || "first route"}` : name;
      lines.push({ ...path[key], ...rest, look, name: label, ends: path.ends });
    });
  });
  return lines;
}

function drawWindow(figure, view) {
  const lines = pathLines(view.trace, [
    { key: "bytesInFlight", name: "in flight", colour: 1, area: true },
    { key: "congestionWindow", name: "window", colour: 0 },
  ]);
  figure.hidden = !lines.length;
  if (lines.length) drawLines(figure, view, { lines, unit: "bytes", height: 130 });
}

function drawRtt(figure, view) {
  const lines = pathLines(view.trace, [
    { key: "latestRtt", name: "latest", colour: 3, faint: true },
    { key: "smoothedRtt", name: "smoothed", colour: 0 },
    { key: "minRtt", name: "minimum", colour: 2 },
  ]);
  const taken = view.trace.acknowledgedRtt;
  if (!lines.length && taken.t.length) lines.push({ ...taken, name: "from ACKs", look: "look-0" });
  figure.hidden = !lines.length;
  if (lines.length) drawLines(figure, view, { lines, unit: "seconds", height: 120 });
}

// Bars of packets declared lost, and triangles for probe timeouts.
function drawLosses(figure, view) {
  const plot = figure.querySelector(".plot");
  const { losses, probes } = view.trace;
  const box = boxOf(plot, losses.length || probes.length ? 56 : 18);
  const svg = frame(plot, box, view, "Losses over time");
  const x = xOf(view, box);
  const wide = 5;
  const bars = new Map();
  const last = lowerBound(losses, view.to);
  const first = lowerBound(losses, view.from);
  for (let index = first; index < last; index++) {
    const bar = Math.floor((x(losses[index]) - box.left) / wide);
    bars.set(bar, (bars.get(bar) || 0) + 1);
  }
  const top = Math.max(1, ...bars.values());
  for (const [bar, count] of bars) {
    const height = Math.max(2, (count / top) * box.height);
    const place = { x: box.left + bar * wide, y: box.top + box.height - height };
    const rect = make("rect", { class: "bar", ...place, width: wide - 1, height });
    rect.append(make("title", {}, `${count} lost`));
    svg.append(rect);
  }
  for (const time of probes) {
    if (time < view.from || time > view.to) continue;
    const at = x(time);
    const base = box.top + 8;
    const d = `M${at - 4} ${base}L${at} ${box.top}L${at + 4} ${base}Z`;
    svg.append(make("path", { class: "probe", d }));
  }
  const bottom = box.top + box.height;
  svg.append(rule("grid", box.left, bottom, box.left + box.width, bottom));
  const shown = last - first;
  const label = { class: "tick", x: box.left - 6, y: box.top + 8, "text-anchor": "end" };
  if (shown) svg.append(make("text", label, String(top)));
  const told = shown ? `${shown.toLocaleString("en")} packets in this span` : "none in this span";
  figure.querySelector(".unit").textContent = probes.length ? `${told}; ▲ probe timeout` : told;
  figure.querySelector(".readout").textContent = "";
  plot.replaceChildren(svg);
}

function drawSeries(figure, view, data) {
  const kinds = [...new Set(data.series.map((line) => line.figure))];
  const kind = kinds[Number(figure.dataset.chart.slice("series-".length))];
  const found = data.series.filter((line) => line.figure === kind);
  const lines = found.map((line, index) => {
    const look = `look-${index % 6} stroke-${Math.floor(index / 6)}`;
    return { ...line, name: line.where, look };
  });
  const limits = [...new Set(found.map((line) => line.limit).filter((limit) => limit !== null))];
  const note = limits.length ? "broken line: the limit" : "";
  drawLines(figure, view, { lines, unit: found[0].unit, limits, note, height: 110 });
}

function drawOverview(place, view, data) {
  const box = boxOf(place, 26);
  const whole = { ...view, from: data.start, to: data.end };
  const x = xOf(whole, box);
  const svg = canvasOf(box, 34);
  const main = view.trace.bytes.sent >= view.trace.bytes.received ? "sent" : "received";
  // It changes with the trace and the page's width only.
  const kept = view.trace.overview;
  const line = kept && kept.wide === box.width
    ? kept
    : { ...ratesOf(view.trace, main, "size", whole, box.width), ends: data.end, wide: box.width };
  view.trace.overview = line;
  const top = Math.max(1, ...line.v);
  const path = stepPath(line, whole, box, (value) => 30 - (value / top) * 26);
  if (path) svg.append(make("path", { class: "area look-0 solid", d: `${path}V30H${box.left}Z` }));
  const [from, to] = [x(view.from), x(view.to)];
  const veil = (left, right) =>
    make("rect", { class: "veil", x: left, width: Math.max(0, right - left), y: 0, height: 34 });
  const framed = { x: from, width: Math.max(2, to - from), y: 1, height: 32 };
  svg.append(veil(box.left, from), veil(to, box.left + box.width));
  svg.append(make("rect", { class: "framed", ...framed }));
  place.replaceChildren(svg);
}

function prepare(data) {
  for (const trace of data.traces) {
    addLanes(trace);
    const sum = (rows) => rows.reduce((total, row) => total + trace.packets.size[row], 0);
    trace.bytes = { sent: sum(trace.rows.sent), received: sum(trace.rows.received) };
    trace.probes = trace.marks.filter(([, kind]) => kind === "probe timeout").map(([time]) => time);
    const { t, path } = trace.packets;
    // What is known of a path ends with its last packet.
    t.forEach((time, row) => {
      trace.paths[path[row]].ends = time;
    });
    trace.ends = Math.max(trace.close ?? -Infinity, t.length ? t[t.length - 1] : -Infinity);
    if (!Number.isFinite(trace.ends)) trace.ends = data.end;
  }
}

// Which end is shown: the one asked for, or the one that sent most.
function choose(view, data) {
  const traces = data.connections[view.connection].map((index) => data.traces[index]);
  const asked = traces.find((trace) => trace.side === view.chosen);
  const most = traces.reduce((one, other) => (other.bytes.sent > one.bytes.sent ? other : one));
  view.trace = asked || most;
  view.traces = traces;
  view.largest = 1;
  view.longest = 0;
  const times = [];
  for (const trace of traces) {
    for (const size of trace.packets.size) view.largest = Math.max(view.largest, size);
    for (const away of trace.packets.transit) if (!Number.isNaN(away)) times.push(away);
  }
  times.sort((one, other) => one - other);
  view.typical = times[times.length >> 1] || 0;
  view.longest = times[times.length - 1] || 0;
  const place = byId("sides");
  place.replaceChildren();
  if (traces.length < 2) return;
  for (const trace of traces) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = trace.side;
    button.setAttribute("aria-pressed", String(trace === view.trace));
    button.addEventListener("click", () => {
      view.chosen = trace.side;
      choose(view, data);
      view.show(view.from, view.to);
    });
    place.append(button);
  }
}

// Told in the table of events, and too much for the axis.
const MINOR = ["congestion", "ecn", "mtu", "probe timeout", "connection"];
const MINOR_STATES = ["attempted", "handshake started", "peer validated"];

function momentsOf(view, data) {
  const moments = data.happenings.map(([time, text]) => [time, text, 1]);
  for (const [time, kind, text] of view.trace.marks) {
    if (!MINOR.includes(kind) && !MINOR_STATES.includes(text)) moments.push([time, text, 0]);
  }
  const { handshake, close, marks } = view.trace;
  if (handshake !== null && !marks.some(([, , text]) => text.startsWith("handshake complete"))) {
    moments.push([handshake, "handshake complete", 0]);
  }
  if (close !== null && !marks.some(([, , text]) => text === "closed")) {
    moments.push([close, "closed", 0]);
  }
  return moments.sort((one, other) => one[0] - other[0]);
}

function drawAll(view, data) {
  for (const figure of document.querySelectorAll(".chart")) {
    const box = boxOf(figure.querySelector(".plot"), 0);
    const kind = figure.dataset.chart;
    if (kind === "throughput") drawThroughput(figure, view, box);
    else if (kind === "flows") drawFlows(figure, view, data, box);
    else if (kind === "window") drawWindow(figure, view);
    else if (kind === "rtt") drawRtt(figure, view);
    else if (kind === "losses") drawLosses(figure, view);
    else if (kind === "packets") drawPackets(figure, view, view.traces);
    else drawSeries(figure, view, data);
  }
  if (view.trace) drawMoments(byId("moments"), view, momentsOf(view, data));
  if (view.trace) drawOverview(byId("overview"), view, data);
  drawAxis(byId("axis"), view);
  const step = (view.to - view.from) / 500;
  const span = view.isWhole()
    ? `whole run, ${withUnit("seconds", data.end - data.start)}`
    : `${timeText(view.from, step)} – ${timeText(view.to, step)} s`;
  // The buttons that tell who looks are not printed.
  const by = view.printing && view.trace ? `, as the ${view.trace.side} saw it` : "";
  byId("range").textContent = span + by;
}

function wire(view, data) {
  byId("in").addEventListener("click", () => view.zoom(1 / 2));
  byId("out").addEventListener("click", () => view.zoom(2));
  byId("all").addEventListener("click", () => view.all());
  const chooser = byId("connection");
  if (chooser) {
    chooser.value = String(view.connection);
    chooser.addEventListener("change", () => {
      view.connection = Number(chooser.value);
      view.picked = null;
      choose(view, data);
      view.show(view.from, view.to);
    });
  }
  for (const figure of document.querySelectorAll(".chart")) {
    const plot = figure.querySelector(".plot");
    handle(plot, view, () => boxOf(plot, 0));
    listenForKeys(figure, view);
  }
  wireOverview(view, data);
  wirePackets(view, data);
  addEventListener("resize", () => view.changed());
  addEventListener("hashchange", () => {
    readAddress(view, data);
    if (view.trace) choose(view, data);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view.changed());
}

function wireOverview(view, data) {
  const place = byId("overview");
  let held = false;
  const move = (event) => {
    const box = boxOf(place, 0);
    const share = (event.clientX - place.getBoundingClientRect().left - box.left) / box.width;
    const middle = data.start + share * (data.end - data.start);
    const half = (view.to - view.from) / 2;
    view.show(middle - half, middle + half);
  };
  place.addEventListener("pointerdown", (event) => {
    held = true;
    place.setPointerCapture(event.pointerId);
    move(event);
  });
  place.addEventListener("pointermove", (event) => held && move(event));
  place.addEventListener("pointerup", () => {
    held = false;
  });
}

function wirePackets(view, data) {
  const figure = byId("chart-packets");
  if (!figure) return;
  const plot = figure.querySelector(".plot");
  const told = byId("packet");
  const pick = (event) => {
    view.picked = pickAt(view, event, plot) || view.picked;
    tell(told, view, data.texts);
    view.changed();
  };
  plot.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse" && !event.buttons) pick(event);
  });
  plot.addEventListener("pointerup", pick);
  figure.addEventListener("keydown", (event) => {
    if (event.key === "," || event.key === ".") step(view, event.key === "," ? -1 : 1);
    else if (event.key === "Escape") view.picked = null;
    else return;
    tell(told, view, data.texts);
    view.changed();
  });
}

function wireCopy() {
  const button = byId("copy");
  if (!button) return;
  button.addEventListener("click", async () => {
    const command = byId("command");
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      // Without leave to write to the clipboard, it is at least marked.
      getSelection().selectAllChildren(command);
      button.textContent = "Marked";
    }
    setTimeout(() => {
      button.textContent = "Copy";
    }, 1500);
  });
}

function wirePrinting(view, data) {
  const root = document.documentElement;
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
    root.classList.add("printing");
    view.printing = true;
    view.cursor = null;
    drawAll(view, data);
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    view.printing = false;
    drawAll(view, data);
  });
}

async function main() {
  wireCopy();
  if (!byId("charts")) return;
  const data = await load();
  prepare(data);
  const view = makeView(data);
  view.happenings = data.happenings;
  readAddress(view, data);
  if (data.traces.length) choose(view, data);
  view.draw = () => drawAll(view, data);
  wire(view, data);
  wirePrinting(view, data);
  view.draw();
  document.documentElement.classList.add("drawn");
}

main().catch((error) => {
  const note = document.createElement("p");
  note.className = "note";
  note.textContent = `The charts could not be drawn (${error}). The tables below hold the figures.`;
  (byId("charts") || document.body).prepend(note);
});
