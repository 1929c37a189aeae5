// The Control section: ControlNet units by kind. What is on, has a picture and suits the model goes into the field `controls`.
//
// A kind's own tool registers itself as `studio.controlEditors[kind] = ({ element, server, changed }) => tool`:
//   element          holds the markup of the Python `Editor` of that kind
//   server           the server functions of all editors
//   changed(own)     tells that the shown unit's drawing is now `own`: any JSON; it is kept with the draft
//   tool.show(own, frame)    a unit is shown; `own` null means it is new; frame is {width, height} in pixels of the result
//   tool.hide()              no unit of this kind is shown any more
//   tool.render(own, frame)  returns the drawing as a PNG `data:` address, or {image: hash} when the server keeps it already,
//                            or null when nothing is drawn; may be a promise; asked for units that are not shown, too
studio.controlEditors = {};

studio.control = ({ element, props, server }) => {
  const find = (part) => [...element.querySelectorAll(`[data-part="${part}"]`)].find((node) => !node.closest("[data-editor]"));
  const SETTINGS = Object.keys(props.blank);
  const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  // `drawn` and `given` are hashes of pictures made here and brought along; `by` says which of them counts.
  const newUnit = (kind) => ({ id: newId(), kind, on: false, touched: false, by: editors[kind] ? "editor" : "picture", drawn: null, given: null, use: structuredClone(props.blank) });

  const editors = {};
  const kept = studio.recall("control", null);
  const units = kept?.units ?? [];
  const chosen = kept?.chosen ?? {}; // kind -> id of the unit shown
  let kind = kept?.kind ?? props.kinds[0];
  let frame = null;
  let nets = null; // kind -> {nets, reason}; null until the model is known
  let published = null;
  const rows = {}; // kind -> preprocessors

  const mine = (wanted) => units.filter((unit) => unit.kind === wanted);
  const shown = () => mine(kind).find((unit) => unit.id === chosen[kind]) ?? mine(kind)[0];
  const imageOf = (unit) => (unit.by === "editor" ? unit.drawn : unit.given);
  const useOf = (unit) => ({
    kind: unit.kind,
    image: imageOf(unit),
    ...unit.use,
    ...(unit.by === "editor" ? { preprocessor: "none", settings: {} } : {}),
  });
  const counts = (unit) => unit.on && imageOf(unit) && !nets?.[unit.kind].reason;

  function save() {
    studio.keep("control", { units, chosen, kind });
  }

  // Whatever changed: keep it, tell the field, show it.
  function update() {
    save();
    const uses = units.filter(counts).map(useOf);
    if (JSON.stringify(uses) !== published) {
      published = JSON.stringify(uses);
      studio.say("set", { field: "controls", value: uses });
    }
    draw();
  }

  // Somebody else set the field: its entries become units, and what is not among them is switched off.
  function adopt(uses) {
    const free = new Set(units);
    units.forEach((unit) => { unit.on = false; });
    for (const { kind: wanted, image, ...use } of uses) {
      const same = [...free].filter((unit) => unit.kind === wanted);
      const unit = same.find((one) => imageOf(one) === image) ?? same.find((one) => !imageOf(one)) ?? newUnit(wanted);
      free.delete(unit);
      if (!units.includes(unit)) units.push(unit);
      unit.by = unit.drawn === image ? "editor" : "picture";
      if (unit.by === "picture") unit.given = image;
      Object.assign(unit, { on: true, touched: true, use });
    }
    published = JSON.stringify(uses);
    save();
    draw();
  }

  // ---- pictures ----
  function gotPicture(unit, by, image) {
    unit[by === "editor" ? "drawn" : "given"] = image;
    if (image && !unit.touched) Object.assign(unit, { on: true, touched: true });
    update();
  }

  const turns = new Map(); // unit id -> number of its newest drawing
  async function send(unit) {
    const turn = (turns.get(unit.id) ?? 0) + 1;
    turns.set(unit.id, turn);
    const own = studio.recall(`control-${unit.id}`, null);
    const drawing = own === null || !frame ? null : await editors[unit.kind].render(own, frame);
    const answer = typeof drawing === "string" ? await studio.ask(server.keep, drawing) : drawing ?? { image: null };
    if (turns.get(unit.id) !== turn || !units.includes(unit)) return;
    complain(unit, answer.error ?? "");
    if (!answer.error) gotPicture(unit, "editor", answer.image);
  }

  const timers = new Map();
  function sendSoon(unit, wait) {
    clearTimeout(timers.get(unit.id)?.timer);
    const entry = timers.get(unit.id) ?? {};
    if (!entry.done) studio.settle(new Promise((done) => { entry.done = done; }));
    entry.timer = setTimeout(async () => {
      timers.delete(unit.id);
      try {
        await send(unit);
      } catch (error) {
        console.warn("studio: a drawing could not be kept", error);
        complain(unit, "The studio does not answer; draw on to try again.");
      }
      entry.done();
    }, wait);
    timers.set(unit.id, entry);
  }

  const asAddress = (blob) => new Promise((done, failed) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(reader.result));
    reader.addEventListener("error", () => failed(reader.error));
    reader.readAsDataURL(blob);
  });

  // A file goes as it is, because a browser's canvas would cut a 16-bit depth map down; only large photos are made smaller here.
  const LARGEST_FILE = 8_000_000, SMALLER_SIDE = 2048;
  async function smaller(file) {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, SMALLER_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
  }

  async function give(unit, file) {
    complain(unit, "");
    let blob = file;
    if (file.size > LARGEST_FILE) {
      blob = await smaller(file).catch(() => null);
      if (!blob) return complain(unit, "The file is too large and no picture that this browser can read; give a smaller one.");
    }
    const answer = await studio.ask(server.keep, await asAddress(blob));
    if (answer.error) return complain(unit, answer.error);
    unit.by = "picture";
    thumbnails.set(answer.image, answer.picture);
    gotPicture(unit, "picture", answer.image);
  }

  const bring = (file) => {
    const unit = shown();
    studio.settle(give(unit, file).catch((error) => {
      console.warn("studio: a picture could not be kept", error);
      complain(unit, "The studio does not answer; give the picture again.");
    }));
  };

  // ---- the map ----
  const problems = new Map(); // unit id -> sentence
  function complain(unit, sentence) {
    problems.set(unit.id, sentence);
    if (unit === shown()) drawProblem(unit);
  }
  function drawProblem(unit) {
    const sentence = problems.get(unit.id) ?? "";
    find("map-error").textContent = sentence;
    find("map-error").hidden = !sentence;
  }

  const thumbnails = new Map(); // hash -> data address
  const maps = new Map(); // what was asked -> data address
  let asked = ""; // the newest map that was asked for
  let ticket = "";
  const size = () => (frame ? [frame.width, frame.height] : null);

  async function showMap(unit) {
    const image = imageOf(unit);
    find("map").hidden = !image || !frame;
    if (!image || !frame) { asked = ""; return; }
    // Weight, span and mode do not change a map.
    const use = { kind: unit.kind, image, preprocessor: useOf(unit).preprocessor, settings: useOf(unit).settings, fit: unit.use.fit };
    const key = JSON.stringify([use, size()]);
    if (key === asked) return;
    asked = key;
    if (ticket) studio.ask(server.cancel, ticket).catch(() => {});
    ticket = "";
    if (maps.has(key)) return putMap(unit, maps.get(key));
    const mineTicket = (ticket = newId());
    find("map-text").textContent = "is being made";
    watchProgress(mineTicket);
    try {
      const answer = await studio.ask(server.annotate, [use, size(), mineTicket]);
      if (asked !== key) return;
      if (!answer.error) {
        maps.set(key, answer.map);
        if (maps.size > 24) maps.delete(maps.keys().next().value);
      }
      putMap(unit, answer.map ?? "");
      complain(unit, answer.error);
    } catch (error) {
      console.warn("studio: a map could not be had", error);
      if (asked !== key) return;
      asked = "";
      complain(unit, "The studio does not answer; change something to try again.");
    } finally {
      if (ticket === mineTicket) ticket = "";
    }
  }

  function putMap(unit, address) {
    find("map-picture").src = address || "data:,";
    find("map-picture").hidden = !address;
    find("map-text").textContent = address ? `${frame.width} × ${frame.height}` : "";
    find("map-track").hidden = true;
    find("map-cancel").hidden = true;
    if (address) complain(unit, "");
  }

  async function watchProgress(mineTicket) {
    for (;;) {
      await studio.sleep(600);
      if (ticket !== mineTicket) return;
      const how = await studio.ask(server.progress, mineTicket).catch(() => null);
      if (ticket !== mineTicket || !how) continue;
      find("map-text").textContent = how.message;
      find("map-bar").style.width = `${100 * how.fraction}%`;
      find("map-track").hidden = !how.message;
      find("map-cancel").hidden = !how.message;
    }
  }

  // ---- drawing the section ----
  let editorShown = null; // id of the unit that the editor shows

  function draw() {
    const unit = shown();
    for (const name of props.kinds) {
      const tab = element.querySelector(`[data-kind="${name}"]`);
      tab.setAttribute("aria-selected", name === kind);
      tab.tabIndex = name === kind ? 0 : -1;
      tab.toggleAttribute("data-on", mine(name).some(counts));
      if (nets?.[name].reason) tab.setAttribute("aria-disabled", "true");
      else tab.removeAttribute("aria-disabled");
      tab.title = nets?.[name].reason ?? "";
    }
    element.querySelector("#unit").setAttribute("aria-labelledby", `tab-${kind}`);
    find("reason").textContent = nets?.[kind].reason ?? "";
    find("reason").hidden = !nets?.[kind].reason;
    find("unit").inert = Boolean(nets?.[kind].reason);
    drawUnits(unit);
    drawSource(unit);
    drawSettings(unit);
    drawProblem(unit);
    showMap(unit);
  }

  function drawUnits(unit) {
    find("on").checked = unit.on;
    const same = mine(kind);
    find("units").replaceChildren(...(same.length < 2 ? [] : same.map((one, index) => {
      const chip = Object.assign(document.createElement("button"), { type: "button", textContent: String(index + 1) });
      chip.setAttribute("aria-label", `${kind} unit ${index + 1}${one.on ? "" : ", off"}`);
      chip.setAttribute("aria-pressed", one === unit);
      chip.addEventListener("click", () => { chosen[kind] = one.id; update(); find("units").children[index]?.focus(); });
      return chip;
    })));
    find("remove").hidden = same.length < 2;
    find("add").disabled = units.length >= props.most;
  }

  function drawSource(unit) {
    const tool = editors[kind];
    find("sources").hidden = !tool;
    find("by-editor").textContent = element.querySelector(`[data-editor="${kind}"]`)?.dataset.verb ?? "";
    find("by-editor").setAttribute("aria-pressed", unit.by === "editor");
    find("by-picture").setAttribute("aria-pressed", unit.by === "picture");
    find("given").hidden = unit.by !== "picture";
    const wanted = unit.by === "editor" && tool && frame ? `${unit.id} ${frame.width} ${frame.height}` : null;
    if (wanted !== editorShown) {
      Object.values(editors).forEach((one) => one.hide());
      element.querySelectorAll("[data-editor]").forEach((holder) => { holder.hidden = !wanted || holder.dataset.editor !== kind; });
      editorShown = wanted;
      if (wanted) tool.show(studio.recall(`control-${unit.id}`, null), frame);
    }
    if (unit.by === "picture") drawGiven(unit);
  }

  async function drawGiven(unit) {
    drawPreprocessors(unit);
    const picture = find("source");
    find("drop").toggleAttribute("data-full", Boolean(unit.given));
    if (!unit.given) { picture.hidden = true; return; }
    if (!thumbnails.has(unit.given)) {
      const answer = await studio.ask(server.thumbnail, unit.given).catch(() => ({ error: "The studio does not answer; choose this tab again." }));
      if (answer.error) return complain(unit, answer.error);
      thumbnails.set(unit.given, answer.picture);
    }
    if (shown() !== unit) return;
    picture.src = thumbnails.get(unit.given);
    picture.alt = "The picture that was given";
    picture.hidden = false;
  }

  async function drawPreprocessors(unit) {
    if (!rows[unit.kind]) rows[unit.kind] = await studio.ask(server.preprocessors, unit.kind).catch(() => null);
    if (!rows[unit.kind] || shown() !== unit) return;
    const select = find("preprocessor");
    select.replaceChildren(...rows[unit.kind].map((row) => {
      const option = new Option(row.reason ? `${row.title}: ${row.reason}` : row.title, row.name);
      option.disabled = Boolean(row.reason);
      option.title = row.description;
      return option;
    }));
    select.value = unit.use.preprocessor;
    const row = rows[unit.kind].find((one) => one.name === unit.use.preprocessor);
    find("preprocessor-note").textContent = row?.description ?? "";
    find("preprocessor-size").textContent = row?.size ?? "";
  }

  const slide = (range) => range.style.setProperty("--part", `${(100 * (range.value - range.min)) / (range.max - range.min)}%`);

  function drawSettings(unit) {
    const { weight, start, end, mode, fit, model } = unit.use;
    if (document.activeElement !== find("weight")) find("weight").value = weight.toFixed(2);
    find("weight-range").value = weight;
    slide(find("weight-range"));
    find("start").value = start;
    find("end").value = end;
    find("start").parentElement.style.setProperty("--from", `${100 * start}%`);
    find("start").parentElement.style.setProperty("--to", `${100 * end}%`);
    find("span-text").textContent = `${Math.round(100 * start)} to ${Math.round(100 * end)} %`;
    find("mode").value = mode;
    find("fit").value = fit;
    const names = nets?.[unit.kind].nets ?? [];
    const offered = model && !names.includes(model) ? [...names, model] : names;
    find("model-field").hidden = offered.length < 2;
    find("model").replaceChildren(new Option("first that fits", ""), ...offered.map((name) => new Option(name, name)));
    find("model").value = model ?? "";
  }

  // ---- what a person does ----
  const edit = (change) => { change(shown()); update(); };
  const setUse = (patch) => edit((unit) => Object.assign(unit.use, patch));
  const tabs = [...element.querySelectorAll("[role=tab]")];
  const choose = (name) => { kind = name; update(); };
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => choose(tab.dataset.kind));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      choose(next.dataset.kind);
      next.focus();
    });
  });
  find("on").addEventListener("input", () => edit((unit) => Object.assign(unit, { on: find("on").checked, touched: true })));
  find("add").addEventListener("click", () => {
    const unit = newUnit(kind);
    units.push(unit);
    chosen[kind] = unit.id;
    update();
  });
  find("remove").addEventListener("click", () => {
    const [gone] = units.splice(units.indexOf(shown()), 1);
    studio.forget(`control-${gone.id}`);
    update();
  });
  for (const by of ["editor", "picture"]) find(`by-${by}`).addEventListener("click", () => edit((unit) => { unit.by = by; }));
  const number = find("weight");
  number.addEventListener("input", () => { if (!Number.isNaN(number.valueAsNumber)) setUse({ weight: number.valueAsNumber }); });
  find("weight-range").addEventListener("input", () => setUse({ weight: Number(find("weight-range").value) }));
  // The two ends of the span never meet, because a unit must begin before it ends.
  const GAP = 0.05;
  const share = (value) => Number(value.toFixed(2));
  find("start").addEventListener("input", () => setUse({ start: share(Math.min(Number(find("start").value), shown().use.end - GAP)) }));
  find("end").addEventListener("input", () => setUse({ end: share(Math.max(Number(find("end").value), shown().use.start + GAP)) }));
  for (const name of ["mode", "fit", "preprocessor"]) find(name).addEventListener("input", () => setUse({ [name]: find(name).value }));
  find("model").addEventListener("input", () => setUse({ model: find("model").value || null }));
  find("map-cancel").addEventListener("click", () => { if (ticket) studio.ask(server.cancel, ticket).catch(() => {}); });

  const drop = find("drop");
  const picked = (list) => [...(list ?? [])].find((file) => file.type.startsWith("image/")) ?? list?.[0];
  find("choose").addEventListener("click", () => find("file").click());
  find("file").addEventListener("change", () => { if (find("file").files[0]) bring(find("file").files[0]); find("file").value = ""; });
  const section = element.querySelector(".control");
  section.addEventListener("dragover", (event) => { event.preventDefault(); section.toggleAttribute("data-over", true); });
  section.addEventListener("dragleave", () => section.removeAttribute("data-over"));
  section.addEventListener("drop", (event) => {
    event.preventDefault();
    section.removeAttribute("data-over");
    const file = picked(event.dataTransfer.files);
    if (file && !find("unit").inert) bring(file);
  });
  document.addEventListener("paste", (event) => {
    const file = picked(event.clipboardData?.files);
    if (!file || find("unit").inert || !drop.offsetParent) return;
    event.preventDefault();
    bring(file);
  });

  // ---- what else changes ----
  const wanted = { width: null, height: null, card: null };
  function measure() {
    if (!wanted.card) return;
    const now = { width: wanted.width ?? wanted.card.native, height: wanted.height ?? wanted.card.native };
    const good = (side) => Number.isInteger(side) && side >= 64 && side <= 2048 && side % 8 === 0;
    if (!good(now.width) || !good(now.height) || (frame?.width === now.width && frame?.height === now.height)) return;
    frame = now;
    studio.know("frame", frame);
    // A drawing is made anew in the new size, so that nothing of it is lost or blurred.
    units.filter((unit) => editors[unit.kind]).forEach((unit) => sendSoon(unit, 0));
    draw();
  }
  async function ask(model) {
    try {
      nets = await studio.ask(server.kinds, model);
      update();
    } catch (error) {
      console.warn("studio: the ControlNets could not be listed", error);
    }
  }

  for (const [name, make] of Object.entries(studio.controlEditors)) {
    const holder = element.querySelector(`[data-editor="${name}"]`);
    if (!holder) continue;
    editors[name] = make({
      element: holder,
      server,
      changed(own) {
        const unit = shown();
        studio.keep(`control-${unit.id}`, own);
        sendSoon(unit, 150);
      },
    });
  }
  for (const name of props.kinds) if (!mine(name).length) units.push(newUnit(name));
  draw();
  let first = kept !== null;
  studio.watch("controls", (uses) => {
    if (first || JSON.stringify(uses) === published) published ??= JSON.stringify(uses);
    else adopt(uses);
    first = false;
  });
  for (const name of Object.keys(wanted)) studio.watch(name, (value) => { wanted[name] = value; measure(); });
  studio.watch("model", ask);
  studio.on("use as control", ({ kind: name, image, picture }) => {
    kind = name;
    const unit = shown();
    unit.by = "picture";
    thumbnails.set(image, picture);
    gotPicture(unit, "picture", image);
  });
};
