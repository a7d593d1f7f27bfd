// -- view: what part of the run is shown, seen by whom; everything is drawn from it

function makeView(data) {
  const view = {
    from: data.start,
    to: data.end,
    connection: 0,
    trace: null,
    cursor: null,
    packet: -1,
    brush: null,
    draw: () => {},
  };
  let waiting = false;
  view.changed = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      view.draw();
    });
  };
  // The shortest span in which a time still has different neighbours.
  const least = Math.max(2e-6, (data.end - data.start) * 1e-7);
  view.show = (from, to) => {
    const span = Math.min(data.end - data.start, Math.max(least, to - from));
    const middle = (from + to) / 2;
    const start = to - from < least ? middle - span / 2 : from;
    view.from = Math.min(Math.max(start, data.start), data.end - span);
    view.to = view.from + span;
    keepAddress(view, data);
    view.changed();
  };
  view.zoom = (factor, around = (view.from + view.to) / 2) => {
    view.show(around - (around - view.from) * factor, around + (view.to - around) * factor);
  };
  view.pan = (share) => {
    const by = (view.to - view.from) * share;
    view.show(view.from + by, view.to + by);
  };
  view.all = () => view.show(data.start, data.end);
  view.isWhole = () => view.from <= data.start && view.to >= data.end;
  return view;
}

// The view in the address: #t=1.0-2.0&by=server&c=0

function keepAddress(view, data) {
  clearTimeout(view.timer);
  view.timer = setTimeout(() => {
    const parts = [];
    if (!view.isWhole()) {
      const step = (view.to - view.from) / 1000;
      parts.push(`t=${timeText(view.from, step)}-${timeText(view.to, step)}`);
    }
    if (view.chosen) parts.push(`by=${view.chosen}`);
    if (view.connection) parts.push(`c=${view.connection}`);
    try {
      history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : "#");
    } catch {
      // A page in a sandbox has no address; the view works all the same.
    }
  }, 150);
}

function readAddress(view, data) {
  const asked = new URLSearchParams(location.hash.slice(1));
  const connection = Number(asked.get("c"));
  if (data.connections[connection]) view.connection = connection;
  view.chosen = asked.get("by") || "";
  const span = /^(-?[\d.]+)-(-?[\d.]+)$/.exec(asked.get("t") || "");
  if (span && Number(span[1]) < Number(span[2])) view.show(Number(span[1]), Number(span[2]));
  else view.show(data.start, data.end);
}

// -- hands on a chart: `plot` is where it is drawn, `box()` tells its margins

function handle(plot, view, box) {
  const timeAt = (event) => {
    const { left, width } = box();
    const x = event.clientX - plot.getBoundingClientRect().left - left;
    return view.from + (Math.min(Math.max(x, 0), width) / width) * (view.to - view.from);
  };
  const fingers = new Map();
  let drag = null;

  plot.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    fingers.set(event.pointerId, event.clientX);
    plot.setPointerCapture(event.pointerId);
    const moves = event.pointerType === "touch" || event.shiftKey;
    drag = { x: event.clientX, time: timeAt(event), moves, from: view.from, to: view.to };
    if (fingers.size === 2) {
      const [one, other] = fingers.values();
      drag = { pinch: Math.abs(one - other), around: middleTime(one, other), ...drag };
    }
  });
  const middleTime = (one, other) => timeAt({ clientX: (one + other) / 2 });

  plot.addEventListener("pointermove", (event) => {
    view.cursor = timeAt(event);
    view.pointer = { plot, event };
    if (drag && fingers.has(event.pointerId)) {
      fingers.set(event.pointerId, event.clientX);
      const span = drag.to - drag.from;
      if (fingers.size === 2 && drag.pinch) {
        const [one, other] = fingers.values();
        const factor = drag.pinch / Math.max(8, Math.abs(one - other));
        const { around } = drag;
        view.show(around - (around - drag.from) * factor, around + (drag.to - around) * factor);
      } else if (drag.moves) {
        const by = ((drag.x - event.clientX) / box().width) * span;
        view.show(drag.from + by, drag.to + by);
      } else if (Math.abs(event.clientX - drag.x) > 4) {
        view.brush = [Math.min(drag.time, view.cursor), Math.max(drag.time, view.cursor)];
      }
    }
    view.changed();
  });

  const release = (event) => {
    fingers.delete(event.pointerId);
    if (view.brush) view.show(...view.brush);
    view.brush = null;
    drag = null;
    view.changed();
  };
  plot.addEventListener("pointerup", release);
  plot.addEventListener("pointercancel", release);
  plot.addEventListener("pointerleave", () => {
    view.cursor = null;
    view.pointer = null;
    view.changed();
  });
  plot.addEventListener("dblclick", () => view.all());
  plot.addEventListener(
    "wheel",
    (event) => {
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        view.zoom(Math.exp(Math.sign(event.deltaY) * 0.25), timeAt(event));
      } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        view.pan(event.deltaX / box().width);
      }
    },
    { passive: false },
  );
}

const KEYS = {
  ArrowLeft: (view) => view.pan(-0.1),
  ArrowRight: (view) => view.pan(0.1),
  PageUp: (view) => view.pan(-0.9),
  PageDown: (view) => view.pan(0.9),
  "+": (view) => view.zoom(1 / 1.5),
  "=": (view) => view.zoom(1 / 1.5),
  "-": (view) => view.zoom(1.5),
  0: (view) => view.all(),
  Home: (view) => view.all(),
};

function listenForKeys(figure, view) {
  figure.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key](view);
  });
}
