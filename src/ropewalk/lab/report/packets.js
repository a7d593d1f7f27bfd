// -- packets: a stroke for each, on a canvas; with both ends known, their ways between

const KINDS = [
  "Initial",
  "0-RTT",
  "Handshake",
  "1-RTT",
  "Retry",
  "Version Negotiation",
  "Stateless Reset",
  "Unknown",
];
const ONE_RTT = 3;
// A lane holds a stroke of up to TICK, the mark of a loss beyond it, and then a number.
const [LANE, TICK, BETWEEN, TITLE, APART] = [38, 20, 54, 18, 10];
// Ways are drawn while there are few enough to follow.
const MOST_WAYS = 1500;

// The lanes of a connection from the top: {trace, direction, base, up}. `up` lanes grow upwards.
function lanesOf(traces, trace) {
  const other = traces.find((each) => each !== trace && each.side !== trace.side);
  const client = [trace, other].find((each) => each && each.side === "client");
  const server = [trace, other].find((each) => each && each.side === "server");
  if (!client || !server) {
    const sent = { trace, direction: "sent", base: TITLE, up: false };
    const second = TITLE + LANE + APART + TITLE;
    return {
      lanes: [sent, { trace, direction: "received", base: second, up: false }],
      titles: [[0, "sent", ""], [second - TITLE, "received", ""]],
      height: second + LANE + 4,
    };
  }
  const far = LANE + BETWEEN + LANE;
  const second = TITLE + far + APART + TITLE;
  return {
    lanes: [
      { trace: client, direction: "sent", base: TITLE + LANE, up: true },
      { trace: server, direction: "received", base: TITLE + LANE + BETWEEN, up: false },
      { trace: server, direction: "sent", base: second + LANE + BETWEEN, up: false },
      { trace: client, direction: "received", base: second + LANE, up: true },
    ],
    titles: [
      [0, "client to server", ": above as it left, below as it arrived"],
      [second - TITLE, "server to client", ": below as it left, above as it arrived"],
    ],
    height: second + far + 4,
  };
}

// The look of a packet: what it is and what became of it.
function lookOf(packets, row) {
  if (!Number.isNaN(packets.lost[row])) return Number.isNaN(packets.acked[row]) ? "lost" : "spurious";
  if (packets.kind[row] !== ONE_RTT) return "early";
  return packets.eliciting[row] ? "data" : "ack";
}

const LOOKS = { data: "--one", ack: "--faint", early: "--four", lost: "--two", spurious: "--five" };
// Where packets share a pixel, the one that tells more is seen.
const WEIGHT = { ack: 0, data: 1, early: 2 };

function palette() {
  const style = getComputedStyle(document.documentElement);
  const colours = { ink: "--ink", muted: "--muted", grid: "--grid", paper: "--paper", ...LOOKS };
  for (const key of Object.keys(colours)) colours[key] = style.getPropertyValue(colours[key]).trim();
  return colours;
}

function visible(lane, view, margin = 0) {
  const rows = lane.trace.rows[lane.direction];
  const { t } = lane.trace.packets;
  const from = lowerBound(rows, view.from - margin, (index) => t[rows[index]]);
  const to = lowerBound(rows, view.to + margin, (index) => t[rows[index]]);
  return [rows, from, to];
}

function drawPackets(figure, view, traces) {
  const plot = figure.querySelector(".plot");
  const { lanes, titles, height } = lanesOf(traces, view.trace);
  const box = boxOf(plot, height);
  let canvas = plot.querySelector("canvas");
  if (!canvas) {
    canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Packets on the time axis; the tables hold their numbers");
    plot.append(canvas);
  }
  const sharp = view.printing ? 3 : window.devicePixelRatio || 1;
  canvas.width = Math.round(box.whole * sharp);
  canvas.height = Math.round(height * sharp);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(sharp, sharp);
  const colours = palette();
  const x = xOf(view, box);
  pen.fillStyle = colours.grid;
  for (const { time } of timeTicks(view, box)) {
    pen.fillRect(Math.round(x(time)), TITLE, 1, height - TITLE);
  }
  pen.font = "12px system-ui, sans-serif";
  pen.fillStyle = colours.muted;
  for (const [at, title, more] of titles) {
    pen.fillText(title + (box.narrow ? "" : more), box.left, at + 12);
  }
  pen.save();
  pen.beginPath();
  pen.rect(box.left - 1, 0, box.width + 2, height);
  pen.clip();
  if (lanes.length === 4) {
    drawWays(pen, view, lanes[0], lanes[1], x, colours);
    drawWays(pen, view, lanes[2], lanes[3], x, colours);
  }
  for (const lane of lanes) drawLane(pen, view, lane, x, box, colours);
  drawPointer(pen, view, lanes, x, height, colours);
  pen.restore();
  view.lanes = lanes;
}

// The packets of one pixel: how many, how tall, in which look, and how many were lost.
function* pixelsOf(view, lane, x) {
  const { packets } = lane.trace;
  const [rows, from, to] = visible(lane, view);
  let index = from;
  while (index < to) {
    const column = Math.round(x(packets.t[rows[index]]));
    const pixel = { column, count: 0, tall: 0, look: "ack", lost: 0, fate: "", row: 0 };
    while (index < to && Math.round(x(packets.t[rows[index]])) === column) {
      pixel.row = rows[index++];
      pixel.count++;
      pixel.tall = Math.max(pixel.tall, packets.size[pixel.row]);
      const look = lookOf(packets, pixel.row);
      if (look === "lost" || look === "spurious") {
        pixel.lost++;
        if (pixel.fate !== "lost") pixel.fate = look;
      } else if (WEIGHT[look] > WEIGHT[pixel.look]) pixel.look = look;
    }
    yield pixel;
  }
}

function drawLane(pen, view, lane, x, box, colours) {
  const { packets } = lane.trace;
  const way = lane.up ? -1 : 1;
  const upwards = (from, size) => (way < 0 ? lane.base - from - size : lane.base + from);
  pen.globalAlpha = 0.5;
  pen.fillStyle = colours.muted;
  pen.fillRect(box.left, lane.base - (lane.up ? 0 : 1), box.width, 1);
  const pixels = [...pixelsOf(view, lane, x)];
  const most = pixels.reduce((count, pixel) => Math.max(count, pixel.count), 1);
  const stroke = Math.min(3, Math.max(1, (box.width / Math.max(1, pixels.length)) * 0.5));
  let [numbered, marked] = [-Infinity, -Infinity];
  for (const { column, count, tall, look, lost, fate, row } of pixels) {
    const height = 4 + (Math.min(tall, view.largest) / view.largest) * (TICK - 4);
    const part = lost ? Math.max(4, (height * lost) / count) : 0;
    // Where packets share pixels, dense ones are darker.
    pen.globalAlpha = most > 2 ? 0.35 + (0.65 * count) / most : 1;
    pen.fillStyle = colours[look];
    pen.fillRect(column - stroke / 2, upwards(0, height - part), stroke, height - part);
    pen.globalAlpha = 1;
    if (lost) {
      pen.fillStyle = colours[fate];
      pen.fillRect(column - stroke / 2, upwards(height - part, part), stroke, part);
      if (column - marked > 7) {
        drawMark(pen, column, upwards(height + 5, 0), fate, colours);
        marked = column;
      }
    }
    if (stroke >= 3 && column - numbered > 44 && packets.number[row] >= 0) {
      const text = String(packets.number[row]);
      pen.fillStyle = colours.muted;
      pen.font = "10px system-ui, sans-serif";
      pen.fillText(text, column - stroke, upwards(LANE - 9, 8) + 8);
      numbered = column + text.length * 6;
    }
  }
}

function drawMark(pen, x, y, look, colours) {
  pen.strokeStyle = colours[look];
  pen.lineWidth = 1.6;
  pen.beginPath();
  if (look === "lost") {
    for (const slope of [-1, 1]) {
      pen.moveTo(x - 3, y - 3 * slope);
      pen.lineTo(x + 3, y + 3 * slope);
    }
  } else {
    pen.arc(x, y, 3, 0, 2 * Math.PI);
  }
  pen.stroke();
}

// From where a packet left to where it arrived; one that did not arrive breaks off half-way.
function drawWays(pen, view, sender, receiver, x, colours) {
  const { packets } = sender.trace;
  if (!packets.transit.length) return;
  const [rows, from, to] = visible(sender, view, view.longest);
  if (to - from > MOST_WAYS || to === from) return;
  pen.lineWidth = 1;
  pen.globalAlpha = to - from > 300 ? 0.35 : 0.7;
  for (let index = from; index < to; index++) {
    const row = rows[index];
    const away = packets.transit[row];
    const arrived = !Number.isNaN(away);
    const start = packets.t[row];
    const part = arrived ? 1 : 0.5;
    const end = start + (arrived ? away : view.typical / 2);
    pen.strokeStyle = arrived ? colours[lookOf(packets, row)] : colours.lost;
    pen.beginPath();
    pen.moveTo(x(start), sender.base);
    const stop = sender.base + (receiver.base - sender.base) * part;
    pen.lineTo(x(end), stop);
    pen.stroke();
    if (!arrived) drawMark(pen, x(end), stop, "lost", colours);
  }
  pen.globalAlpha = 1;
}

function drawPointer(pen, view, lanes, x, height, colours) {
  if (view.brush) {
    pen.fillStyle = colours.data;
    pen.globalAlpha = 0.15;
    pen.fillRect(x(view.brush[0]), 0, x(view.brush[1]) - x(view.brush[0]), height);
    pen.globalAlpha = 1;
  } else if (view.cursor !== null) {
    pen.fillStyle = colours.muted;
    pen.fillRect(Math.round(x(view.cursor)), 0, 1, height);
  }
  if (!view.picked) return;
  const { trace, row } = view.picked;
  const direction = trace.packets.sent[row] ? "sent" : "received";
  const lane = lanes.find((each) => each.trace === trace && each.direction === direction);
  if (!lane) return;
  pen.strokeStyle = colours.ink;
  pen.lineWidth = 1.5;
  const top = lane.up ? lane.base - LANE : lane.base;
  pen.strokeRect(Math.round(x(trace.packets.t[row])) - 4, top - 1, 8, LANE + 2);
}

// -- the packet that is told about

function pickAt(view, event, plot) {
  const place = plot.getBoundingClientRect();
  const at = event.clientY - place.top;
  const box = boxOf(plot, 0);
  const perPixel = (view.to - view.from) / box.width;
  const wanted = view.from + (event.clientX - place.left - box.left) * perPixel;
  const away = (lane) => Math.abs(lane.base + (lane.up ? -LANE / 2 : LANE / 2) - at);
  const lane = view.lanes.reduce((one, other) => (away(other) < away(one) ? other : one));
  const rows = lane.trace.rows[lane.direction];
  const { t } = lane.trace.packets;
  const index = lowerBound(rows, wanted, (each) => t[rows[each]]);
  const found = [rows[index - 1], rows[index]].filter((row) => row !== undefined);
  found.sort((one, other) => Math.abs(t[one] - wanted) - Math.abs(t[other] - wanted));
  if (!found.length || Math.abs(t[found[0]] - wanted) > 14 * perPixel) return null;
  return { trace: lane.trace, row: found[0] };
}

// The next packet of the same lane; the first one shown if none is picked.
function step(view, by) {
  if (!view.picked) {
    const [rows, from, to] = visible(view.lanes[0], view);
    if (to > from) view.picked = { trace: view.lanes[0].trace, row: rows[from] };
    return;
  }
  const { trace, row } = view.picked;
  const rows = trace.rows[trace.packets.sent[row] ? "sent" : "received"];
  const next = rows[lowerBound(rows, row) + by];
  if (next === undefined) return;
  view.picked = { trace, row: next };
  const time = trace.packets.t[next];
  const span = view.to - view.from;
  if (time < view.from || time > view.to) view.show(time - span / 2, time + span / 2);
}

function tell(place, view, texts) {
  if (!view.picked) {
    place.replaceChildren();
    return;
  }
  const { trace, row } = view.picked;
  const { packets } = trace;
  const after = (seconds) => withUnit("seconds", seconds);
  const sent = Boolean(packets.sent[row]);
  const facts = [];
  const number = packets.number[row] >= 0 ? ` ${packets.number[row].toLocaleString("en")}` : "";
  const size = packets.size[row].toLocaleString("en");
  facts.push(["Packet", `${KINDS[packets.kind[row]]}${number}, ${size} bytes`]);
  const path = trace.paths[packets.path[row]];
  const on = path && path.name ? ` on ${path.name}` : "";
  const when = `${packets.t[row].toFixed(6)} s, by the ${trace.side}${on}`;
  facts.push([sent ? "Sent" : "Received", when]);
  const fate = [];
  const away = packets.transit[row];
  if (packets.transit.length) {
    if (!Number.isNaN(away)) fate.push(`under way for ${after(away)}`);
    else fate.push(sent ? "the other end has not seen it" : "the other end does not tell of it");
  }
  if (!Number.isNaN(packets.lost[row])) fate.push(`declared lost after ${after(packets.lost[row])}`);
  if (!Number.isNaN(packets.acked[row])) fate.push(`acknowledged after ${after(packets.acked[row])}`);
  else if (sent && Number.isNaN(packets.lost[row])) fate.push("neither acknowledged nor declared lost");
  if (fate.length) facts.push(["Fate", fate.join("; ")]);
  if (!Number.isNaN(packets.ackDelay[row])) facts.push(["ACK delay", after(packets.ackDelay[row])]);
  facts.push(["Frames", texts[packets.text[row]] || "not told"]);
  const list = document.createElement("dl");
  for (const [name, value] of facts) {
    const pair = document.createElement("div");
    for (const [tag, text] of [["dt", name], ["dd", value]]) {
      const cell = document.createElement(tag);
      cell.textContent = text;
      pair.append(cell);
    }
    list.append(pair);
  }
  place.replaceChildren(list);
}
