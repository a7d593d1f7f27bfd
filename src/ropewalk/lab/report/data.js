// -- data: the outline with its columns put in place

const byId = (id) => document.getElementById(id);

async function load() {
  const outline = JSON.parse(byId("outline").textContent);
  const packed = Uint8Array.from(atob(byId("columns").textContent), (sign) => sign.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return revive(outline, await new Response(stream).arrayBuffer());
}

const COLUMN_TYPES = { Float64Array, Float32Array, Uint32Array, Int32Array, Uint8Array };

function revive(value, buffer) {
  if (value === null || typeof value !== "object") return value;
  if (value.column) {
    const [type, place, length] = value.column;
    return new COLUMN_TYPES[type](buffer, place, length);
  }
  for (const key of Object.keys(value)) {
    if (key !== "texts") value[key] = revive(value[key], buffer);
  }
  return value;
}

// The first index whose value is not below `limit`.
function lowerBound(values, limit, at = (index) => values[index]) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(middle) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The rows of a trace's packets, one list for each direction, both in the order of time.
function addLanes(trace) {
  const { sent } = trace.packets;
  let count = 0;
  for (const each of sent) count += each;
  trace.rows = { sent: new Uint32Array(count), received: new Uint32Array(sent.length - count) };
  let [out, back] = [0, 0];
  for (let row = 0; row < sent.length; row++) {
    if (sent[row]) trace.rows.sent[out++] = row;
    else trace.rows.received[back++] = row;
  }
  const losses = [];
  for (const row of trace.rows.sent) {
    const after = trace.packets.lost[row];
    if (!Number.isNaN(after)) losses.push(trace.packets.t[row] + after);
  }
  trace.losses = Float64Array.from(losses).sort();
}

// -- numbers for people

const NARROW = "\u00a0";

function significant(value, digits = 3) {
  if (!value) return "0";
  const places = Math.max(0, Math.min(9, digits - 1 - Math.floor(Math.log10(Math.abs(value)))));
  return value.toLocaleString("en", { maximumFractionDigits: places });
}

const PREFIXES = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];

// The factor and the name of the unit in which `largest` is best read.
function scaleOf(unit, largest) {
  if (unit === "seconds") {
    if (largest >= 1) return [1, "s"];
    return largest >= 0.002 ? [1e-3, "ms"] : [1e-6, "µs"];
  }
  const short = { bytes: "B", "bytes/s": "B/s", "bit/s": "bit/s" }[unit];
  if (!short) return largest >= 1e5 ? [1e3, `1,000 ${unit}`] : [1, unit];
  const [factor, prefix] = PREFIXES.find(([each]) => largest >= each * 1.5) || PREFIXES[3];
  return [factor, prefix + short];
}

function withUnit(unit, value) {
  const [factor, name] = scaleOf(unit, Math.abs(value));
  return significant(value / factor) + NARROW + name;
}

// Steps of 1, 2 or 5 times a power of ten: at most `most` of them in `span`.
function niceStep(span, most) {
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= rough * 0.999);
}

function timeText(time, step) {
  const digits = Math.max(0, Math.min(7, Math.ceil(-Math.log10(step) - 1e-9)));
  return time.toFixed(digits);
}
