// A canvas to draw on with mouse, pen, touch or keys. Strokes are kept as lines, so they are sharp in every size and can be taken back.
//
// A drawing is {strokes, undone}. A stroke is {grey, size, points}, points being x, y, pressure in turn; or {fill: grey} for all of it;
// or {base: hash} for a map that the studio keeps, which the strokes after it are painted over.
// Places and sizes are measured in the shorter side of the result, from its middle, so that another shape of picture distorts nothing.
studio.drawn = {
  bases: new Map(), // hash -> decoded picture of a map that is painted over
  last: (strokes) => strokes.findLastIndex((stroke) => "fill" in stroke || "base" in stroke),
  // The map that strokes lie on and that is not here yet, if any.
  lacks(strokes) {
    const hash = strokes[studio.drawn.last(strokes)]?.base;
    return studio.drawn.bases.has(hash) ? undefined : hash;
  },
  // Fetches it; returns a sentence when it cannot be had, or nothing.
  async fetch(strokes, server) {
    const hash = studio.drawn.lacks(strokes);
    if (!hash) return "";
    const answer = await studio.ask(server.whole, hash);
    if (answer.error) return answer.error;
    const picture = Object.assign(new Image(), { src: answer.picture });
    await picture.decode();
    studio.drawn.bases.set(hash, picture);
    return "";
  },
  // Paints strokes onto a canvas, all of it.
  paint(canvas, strokes) {
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (const stroke of strokes.slice(Math.max(0, studio.drawn.last(strokes)))) studio.drawn.stroke(canvas, stroke, 0);
  },
  // Paints one stroke, from its given point on.
  stroke(canvas, { grey, fill, base, size, points }, first) {
    const pen = canvas.getContext("2d");
    const short = Math.min(canvas.width, canvas.height);
    const place = (i) => [canvas.width / 2 + points[3 * i] * short, canvas.height / 2 + points[3 * i + 1] * short];
    const wide = (i) => Math.max(1, size * short * points[3 * i + 2]);
    const shade = fill ?? grey;
    pen.fillStyle = pen.strokeStyle = `rgb(${shade} ${shade} ${shade})`;
    if (fill !== undefined) return pen.fillRect(0, 0, canvas.width, canvas.height);
    if (base !== undefined) {
      const picture = studio.drawn.bases.get(base);
      if (!picture) return undefined;
      const scale = short / Math.min(picture.naturalWidth, picture.naturalHeight);
      const [wide, high] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
      return pen.drawImage(picture, (canvas.width - wide) / 2, (canvas.height - high) / 2, wide, high);
    }
    pen.lineCap = pen.lineJoin = "round";
    if (points.length === 3) {
      pen.beginPath();
      pen.arc(...place(0), wide(0) / 2, 0, 2 * Math.PI);
      pen.fill();
    }
    for (let i = Math.max(1, first); i < points.length / 3; i += 1) {
      pen.beginPath();
      pen.lineWidth = (wide(i - 1) + wide(i)) / 2;
      pen.moveTo(...place(i - 1));
      pen.lineTo(...place(i));
      pen.stroke();
    }
  },
};

studio.canvasEditor = ({ element, server, changed }) => {
  const find = (name) => element.querySelector(`[data-draw="${name}"]`);
  const canvas = find("canvas");
  const ring = find("ring");
  let own = { strokes: [], undone: [] };
  let frame = null;
  let tool = "brush";
  let current = null; // the stroke being drawn
  let pointer = null; // id of the pointer that draws it
  const size = () => Number(find("size").value);
  const grey = () => Number(find("grey")?.value ?? 255);

  // ---- showing ----
  function paint() {
    const sharp = Math.max(1, devicePixelRatio);
    const wide = Math.max(1, Math.round(canvas.clientWidth * sharp)), high = Math.max(1, Math.round(canvas.clientHeight * sharp));
    if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
    studio.drawn.paint(canvas, current ? [...own.strokes, current] : own.strokes);
    find("undo").disabled = !own.strokes.length;
    find("redo").disabled = !own.undone.length;
    find("clear").disabled = !own.strokes.length || own.strokes.at(-1).fill === 0;
    find("empty").hidden = own.strokes.length > 0 || current !== null;
  }

  // Paints with the map below, which may have to be fetched first; whoever draws the unit's picture says what is wrong with it.
  function paintAll() {
    paint();
    if (!studio.drawn.lacks(own.strokes)) return;
    studio.drawn.fetch(own.strokes, server).then(paint, (error) => console.warn("studio: a map could not be shown", error));
  }

  function tell(strokes, undone) {
    own = { strokes, undone };
    changed(own);
    paintAll();
  }

  function draws(event) {
    return event.pointerType === "pen" && (event.buttons & 32 || event.button === 5) ? "eraser" : tool;
  }

  // ---- drawing ----
  const tidy = (number) => Number(number.toFixed(4));
  function place(event) {
    const box = canvas.getBoundingClientRect();
    const short = Math.min(box.width, box.height);
    // Only a pen tells how hard it is pressed; half pressure is the brush's own width.
    const pressure = event.pointerType === "pen" ? 0.25 + 1.5 * event.pressure : 1;
    return [(event.clientX - box.left - box.width / 2) / short, (event.clientY - box.top - box.height / 2) / short, pressure].map(tidy);
  }

  const begin = (with_, point) => { current = { grey: with_ === "eraser" ? 0 : grey(), size: size(), points: point }; paint(); };
  function go(point) {
    const last = current.points.slice(-3);
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) < 0.002) return;
    current.points.push(...point);
    studio.drawn.stroke(canvas, current, current.points.length / 3 - 1);
  }
  function end() {
    const done = current;
    current = null;
    pointer = null;
    if (done) tell([...own.strokes, done], []);
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || (event.pointerType === "mouse" && event.button !== 0)) return;
    end();
    canvas.setPointerCapture(event.pointerId);
    pointer = event.pointerId;
    begin(draws(event), place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    showRing(event);
    if (event.pointerId !== pointer) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const each of all.length ? all : [event]) go(place(each));
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => { if (event.pointerId === pointer) end(); });
  canvas.addEventListener("pointerleave", () => { ring.hidden = true; });

  function showRing({ clientX, clientY, pointerType }) {
    const box = canvas.getBoundingClientRect();
    ringAt(clientX - box.left, clientY - box.top, pointerType === "touch");
  }
  function ringAt(left, top, hidden) {
    const wide = size() * Math.min(canvas.clientWidth, canvas.clientHeight);
    // The paper may be wider than the canvas in its middle.
    Object.assign(ring.style, { left: `${canvas.offsetLeft + left}px`, top: `${canvas.offsetTop + top}px`, width: `${wide}px`, height: `${wide}px` });
    ring.hidden = hidden;
  }

  // ---- tools ----
  function choose(name) {
    tool = name;
    for (const each of ["brush", "eraser"]) find(each).setAttribute("aria-pressed", each === name);
  }
  function undo() {
    if (!own.strokes.length) return;
    tell(own.strokes.slice(0, -1), [...own.undone, own.strokes.at(-1)]);
  }
  function redo() {
    if (!own.undone.length) return;
    tell([...own.strokes, own.undone.at(-1)], own.undone.slice(0, -1));
  }
  function resize(step) {
    find("size").value = size() + step * 0.01;
    studio.slide(find("size"));
  }
  find("brush").addEventListener("click", () => choose("brush"));
  find("eraser").addEventListener("click", () => choose("eraser"));
  find("undo").addEventListener("click", undo);
  find("redo").addEventListener("click", redo);
  find("clear").addEventListener("click", () => tell([...own.strokes, { fill: 0 }], []));
  find("size").addEventListener("input", () => studio.slide(find("size")));
  studio.slide(find("size"));
  const sayGrey = () => {
    studio.slide(find("grey"));
    find("grey-text").textContent = `${Math.round(grey() / 2.55)} % near`;
  };
  if (find("grey")) {
    find("fill").addEventListener("click", () => tell([...own.strokes, { fill: grey() }], []));
    find("grey").addEventListener("input", sayGrey);
    sayGrey();
  }

  // ---- keys ----
  const pen = { x: 0, y: 0 };
  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  function movePen([across, down], far) {
    const half = (side) => side / Math.min(frame.width, frame.height) / 2;
    const within = (value, most) => Math.max(-most, Math.min(most, value));
    pen.x = within(pen.x + across * (far ? 0.08 : 0.02), half(frame.width));
    pen.y = within(pen.y + down * (far ? 0.08 : 0.02), half(frame.height));
    if (current) go([tidy(pen.x), tidy(pen.y), 1]);
    const short = Math.min(canvas.clientWidth, canvas.clientHeight);
    ringAt(canvas.clientWidth / 2 + pen.x * short, canvas.clientHeight / 2 + pen.y * short, false);
  }
  const KEYS = {
    b: () => choose("brush"),
    e: () => choose("eraser"),
    "[": () => resize(-1),
    "]": () => resize(1),
    " ": () => { if (current) end(); else begin(tool, [tidy(pen.x), tidy(pen.y), 1]); },
  };
  element.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    let act = null;
    if (event.ctrlKey || event.metaKey) act = key === "z" ? (event.shiftKey ? redo : undo) : key === "y" ? redo : null;
    else if (event.target === canvas) act = STEPS[key] ? () => movePen(STEPS[key], event.shiftKey) : KEYS[key];
    if (!act || pointer !== null) return;
    event.preventDefault();
    act();
  });
  canvas.addEventListener("blur", () => { ring.hidden = true; if (pointer === null) end(); });

  new ResizeObserver(() => { if (frame) paint(); }).observe(canvas);

  return {
    show(drawing, size) {
      end();
      own = drawing ?? { strokes: [], undone: [] };
      frame = size;
      canvas.style.aspectRatio = `${size.width} / ${size.height}`;
      canvas.style.maxWidth = `calc(52vh * ${size.width / size.height})`;
      paintAll();
    },
    hide: end,
    finish: end,
    async take(asked, drawing) {
      const { image, error } = await studio.ask(server.keep_map, asked);
      return error ? { error } : { own: { strokes: [...(drawing?.strokes ?? []), { base: image }], undone: [] } };
    },
    async render({ strokes }, { width, height }) {
      const last = strokes.at(-1);
      if (!last || last.fill === 0) return null;
      const error = await studio.drawn.fetch(strokes, server);
      if (error) return { error };
      const small = Object.assign(document.createElement("canvas"), { width, height });
      studio.drawn.paint(small, strokes);
      return small.toDataURL("image/png");
    },
  };
};
studio.controlEditors.sketch = studio.controlEditors.depth = studio.canvasEditor;
