// The Control section: ControlNet units by kind. What is on, has a picture and suits the model goes into the field `controls`.
//
// A kind's own tool registers itself as `studio.controlEditors[kind] = ({ element, server, changed }) => tool`:
//   element          holds the markup of the Python `Editor` of that kind
//   server           the server functions of all editors
//   changed(own)     tells that the shown unit's drawing is now `own`: any JSON; it is kept with the draft
//   tool.show(own, frame, id)  a unit is shown; `own` null means it is new; frame is {width, height} in pixels of the result;
//                            `id` is the unit's, for what a tool keeps of each
//   tool.hide(), tool.finish()  no unit of this kind is shown any more; somebody takes the form: a stroke that was begun is done
//   tool.render(own, frame)  returns the drawing as a PNG `data:` address, or {image: hash} when the server keeps it already,
//                            or {error: sentence}, or null when nothing is drawn; may be a promise; asked for units that are not
//                            shown, too
//   tool.take(asked, own, id)  promises {own} with which the map of a brought picture, asked for as [unit, [width, height]], is gone on
//                            with in the tool, or {error: sentence}
studio.controlEditors = {};

studio.control = ({ element, props, server }) => {
  const find = (part) => [...element.querySelectorAll(`[data-part="${part}"]`)].find((node) => !node.closest("[data-editor]"));
  // `drawn` and `given` are hashes of pictures made here and brought along; `by` says which of them counts.
  const newUnit = (kind) => ({ id: studio.newId(), kind, on: false, touched: false, by: editors[kind] ? "editor" : "picture", drawn: null, given: null, use: structuredClone(props.blank) });

  const editors = {};
  const kept = studio.recall("control", null);
  const units = kept?.units ?? [];
  const chosen = kept?.chosen ?? {}; // kind -> id of the unit shown
  let kind = kept?.kind ?? props.kinds[0];
  let frame = null;
  let nets = null; // kind -> {nets, reason}; null until the model is known
  let published = null;
  let followed = []; // how the shown picture follows the units it was made with

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

  // An answer counts for the unit that asked, while it is there and did not ask anew since: for its drawing, its picture, or which of them
  // is meant (`what`: editor, edit, picture, by).
  const turns = new Map(); // "unit id, what" -> number of the newest request
  function begin(unit, what) {
    const key = `${unit.id} ${what}`, turn = (turns.get(key) ?? 0) + 1;
    turns.set(key, turn);
    return () => turns.get(key) === turn && units.includes(unit);
  }

  // Somebody else set the field: its entries become units, and what is not among them is switched off.
  function adopt(uses) {
    units.forEach((unit) => { begin(unit, "picture"); begin(unit, "by"); });
    const free = new Set(units);
    // Nobody switched it off by hand, so that what is drawn or given next counts again.
    units.forEach((unit) => { Object.assign(unit, { on: false, dropped: unit.on || unit.dropped }); });
    for (const { kind: wanted, image, ...use } of uses) {
      const same = [...free].filter((unit) => unit.kind === wanted);
      const unit = same.find((one) => imageOf(one) === image) ?? same.find((one) => !imageOf(one)) ?? newUnit(wanted);
      free.delete(unit);
      if (!units.includes(unit)) units.push(unit);
      unit.by = unit.drawn === image ? "editor" : "picture";
      if (unit.by === "picture") unit.given = image;
      Object.assign(unit, { on: true, touched: true, dropped: false, use });
    }
    published = JSON.stringify(uses);
    save();
    draw();
  }

  // The whole section as a value, drawings included, and back: what the timeline keeps.
  const drawings = () => Object.fromEntries(units.map(({ id }) => [id, studio.recall(`control-${id}`, null)]).filter(([, own]) => own !== null));
  studio.timeline.section("control", {
    take: () => structuredClone({ units, chosen, kind, drawings: drawings() }),
    // What the server makes of a drawing follows from it.
    same: (state) => JSON.stringify([state.units.map(({ drawn, ...unit }) => unit), state.drawings]),
    put(state) {
      [...units, ...state.units].filter(({ id }) => !(id in state.drawings)).forEach(({ id }) => studio.forget(`control-${id}`));
      units.splice(0, units.length, ...state.units);
      Object.assign(chosen, state.chosen);
      for (const name of props.kinds) if (!mine(name).length) units.push(newUnit(name));
      ({ kind } = state);
      Object.entries(state.drawings).forEach(([id, own]) => studio.keep(`control-${id}`, own));
      problems.clear();
      editorShown = null;
      update();
      // The state may have been noted before its drawing had reached the server.
      if (frame) units.filter(({ id }) => id in state.drawings).forEach((unit) => sendSoon(unit, 0));
    },
  });

  // ---- pictures ----
  function gotPicture(unit, by, image) {
    unit[by === "editor" ? "drawn" : "given"] = image;
    if (image && !unit.touched) Object.assign(unit, { on: true, touched: true });
    update();
  }
  // A person draws on a unit or gives it a picture.
  function meant(unit) {
    if (unit.dropped) Object.assign(unit, { touched: false, dropped: false });
  }

  const { sendSoon, editMap, isUnsent } = studio.controlDrawings({
    editors, server, begin, complain, frame: () => frame,
    got: (unit, image) => gotPicture(unit, "editor", image),
    drawn: (unit) => { if (unit === shown()) editorShown = null; update(); },
  });

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

  // ---- drawing the section ----
  let editorShown = null; // the unit that an editor shows, and in which size
  const editing = {}; // kind -> the unit that its editor shows or showed last

  function draw() {
    const unit = shown();
    for (const name of props.kinds) {
      const tab = element.querySelector(`[data-kind="${name}"]`);
      tab.setAttribute("aria-selected", name === kind);
      tab.tabIndex = name === kind ? 0 : -1;
      tab.toggleAttribute("data-on", mine(name).some(counts));
      tab.toggleAttribute("data-off", Boolean(nets?.[name].reason));
      tab.title = nets?.[name].reason ?? "";
    }
    element.querySelector("#unit").setAttribute("aria-labelledby", `tab-${kind}`);
    find("reason").textContent = nets?.[kind].reason ?? "";
    find("reason").hidden = !nets?.[kind].reason;
    find("unit").inert = Boolean(nets?.[kind].reason);
    drawProblems(nets?.[kind].problems ?? []);
    drawUnits(unit);
    drawSource(unit);
    settings.show(unit, nets?.[unit.kind].nets ?? []);
    drawProblem(unit);
    map.follow(useOf(unit), followed);
    // Whether a preprocessor's weights have to be fetched first stands in the list.
    if (unit.by === "editor" || picture.listed(kind)) map.show(unit, picture.rowOf(unit));
    else map.none();
  }

  // What lies among the ControlNets and cannot be run, such as an IP-Adapter, says so.
  function drawProblems(problems) {
    find("problems").hidden = !problems.length;
    const said = `${problems.length} ${problems.length === 1 ? "folder" : "folders"} cannot be used`;
    const row = (tag, textContent) => Object.assign(document.createElement(tag), { textContent });
    if (JSON.stringify(problems) === find("problems").dataset.shown) return;
    find("problems").dataset.shown = JSON.stringify(problems);
    find("problems").replaceChildren(row("summary", said), ...problems.map((sentence) => row("p", sentence)));
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
    find("tools").hidden = !wanted;
    if (wanted !== editorShown) {
      Object.values(editors).forEach((one) => one.hide());
      element.querySelectorAll("[data-editor]").forEach((holder) => { holder.hidden = !wanted || holder.dataset.editor !== kind; });
      editorShown = wanted;
      if (wanted) editing[kind] = unit;
      if (wanted) tool.show(studio.recall(`control-${unit.id}`, null), frame, unit.id);
    }
    if (unit.by === "picture") picture.show(unit);
  }

  // ---- what a person does ----
  const edit = (change) => { change(shown()); update(); };
  const setUse = (patch) => edit((unit) => Object.assign(unit.use, patch));
  const desk = { element, find, server, shown, useOf, edit, setUse, complain, gotPicture, meant, begin, draw, frame: () => frame, weightsCame, editMap, canEdit: (unit) => unit.by === "picture" && unit.kind in editors };
  const picture = studio.controlPicture(desk);
  const map = studio.controlMap(desk);
  const settings = studio.controlSettings(desk);
  async function weightsCame(name) {
    await picture.listAgain(name);
    draw();
  }
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
  find("on").addEventListener("input", () => edit((unit) => Object.assign(unit, { on: find("on").checked, touched: true, dropped: false })));
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
  for (const by of ["editor", "picture"]) find(`by-${by}`).addEventListener("click", () => edit((unit) => { begin(unit, "by"); unit.by = by; }));

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
  let model = null;
  async function ask(name) {
    model = name;
    try {
      const answer = await studio.ask(server.kinds, name);
      if (model !== name) return;
      nets = answer;
      studio.know("unusable kinds", Object.fromEntries(props.kinds.map((each) => [each, nets[each].reason])));
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
        const unit = editing[name];
        if (!units.includes(unit)) return; // it was removed, or put back as it was before
        studio.keep(`control-${unit.id}`, own);
        meant(unit);
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
  studio.watch("followed", (known) => { followed = known; map.follow(useOf(shown()), followed); });
  studio.on("use as control", ({ kind: name, from }) => {
    kind = name;
    const unit = shown();
    unit.touched = false; // who asks for it wants it on, even where it had been switched off
    update();
    studio.say("open", "control-section");
    element.scrollIntoView({ block: "nearest" });
    studio.settle(picture.take(unit, studio.ask(server.reuse, [...from, name]), "The studio does not answer; choose the picture again."));
  });
  studio.on("finish", () => {
    Object.values(editors).forEach((tool) => tool.finish?.());
    units.filter(isUnsent).forEach((unit) => sendSoon(unit, 0));
  });
  // Without it the picture would follow an older drawing, or none.
  studio.on("may generate", (asked) => {
    const missing = units.some((unit) => unit.by === "editor" && (unit.on || !unit.touched) && isUnsent(unit));
    if (missing) asked.sentence = "A drawing could not be sent to the studio; press Generate to try again.";
    const bare = units.find((unit) => counts(unit) && map.unagreed(picture.rowOf(unit)));
    if (!bare || missing) return;
    ({ kind } = bare);
    chosen[kind] = bare.id;
    update();
    studio.say("open", "control-section");
    asked.sentence = `${picture.rowOf(bare).title} needs weights first: press “Fetch and make the map”, or choose another preprocessor.`;
  });
};
