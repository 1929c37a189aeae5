// Undo and redo over the settings: fields, control units with their drawings, LoRAs, and whatever sets several of them at once.
studio.timeline = (() => {
  const MOST = 60;
  const SETTLED = 400; // milliseconds without a change after which it counts as one step
  const fields = new Set(); // names of the fields on the page
  const values = {}; // field -> its value now
  const sections = new Map(); // name -> {take, same, put} of what is more than its field
  const steps = []; // states, oldest first
  let at = -1; // which of them the page shows
  let puttingBack = false;

  // A section stands for its fields, which follow from it.
  // In the same order each time, whichever widget came up first.
  const own = () => [...fields].filter((field) => field !== "controls" || !sections.has("control")).sort();
  const take = () => ({
    fields: structuredClone(Object.fromEntries(own().map((field) => [field, values[field]]))),
    sections: Object.fromEntries([...sections].map(([name, section]) => [name, section.take()])),
  });
  const same = (state) => JSON.stringify([state.fields, Object.entries(state.sections).map(([name, each]) => sections.get(name)?.same(each))]);
  const tell = () => studio.know("timeline", { back: at > 0, forward: at < steps.length - 1 });

  function note() {
    const state = take();
    if (at >= 0 && same(state) === same(steps[at])) {
      puttingBack = false;
      return;
    }
    if (at >= 0 && studio.touched && !puttingBack) {
      steps.splice(at + 1, Infinity, state);
      if (steps.length > MOST) steps.shift();
      at = steps.length - 1;
    } else {
      // The page is still starting, or what was put back settles in another form.
      steps[Math.max(at, 0)] = state;
      at = Math.max(at, 0);
    }
    puttingBack = false;
    tell();
  }
  const later = studio.debounce(async () => {
    await studio.settled();
    note();
    wake();
  }, SETTLED);

  function put(state) {
    puttingBack = true;
    for (const [field, value] of Object.entries(state.fields)) {
      if (JSON.stringify(values[field]) !== JSON.stringify(value)) studio.say("set", { field, value: structuredClone(value) });
    }
    for (const [name, section] of sections) {
      const there = state.sections[name];
      if (there && section.same(there) !== section.same(section.take())) section.put(structuredClone(there));
    }
    later();
  }

  function go(step) {
    // What was changed just now is a step of its own.
    if (!puttingBack) note();
    if (!steps[at + step]) return;
    at += step;
    put(steps[at]);
    tell();
  }

  // ---- over a reload ----
  let before = null; // the steps of the page before it was loaded anew, until the form stands as it stood there
  try {
    before = JSON.parse(sessionStorage.getItem("studio-timeline"));
  } catch (error) {
    console.warn("studio: the steps could not be read", error);
  }
  // The form comes together bit by bit (the model's name from the server), so each time it settles is looked at.
  function wake() {
    if (!before?.steps?.[before.at] || studio.touched) return;
    if (same(before.steps[before.at]) !== same(steps[at])) return;
    steps.splice(0, steps.length, ...before.steps);
    ({ at } = before);
    before = null;
    tell();
  }
  function sleep() {
    if (before && !studio.touched) return;
    try {
      sessionStorage.setItem("studio-timeline", JSON.stringify({ steps: steps.slice(-20), at: at - Math.max(0, steps.length - 20) }));
    } catch (error) {
      console.warn("studio: the steps could not be kept", error);
      sessionStorage.removeItem("studio-timeline");
    }
  }

  const typing = (node) => node.closest?.("textarea, [contenteditable], input:not([type=range], [type=checkbox], [type=button])");
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    const back = key === "z" && !event.shiftKey, forth = key === "y" || (key === "z" && event.shiftKey);
    // An editor that has steps of its own takes the key first.
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.defaultPrevented || !(back || forth)) return;
    if (typing(event.target) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    go(back ? -1 : 1);
  });
  // Whatever a person does next is no longer what was put back.
  studio.on("touched", () => { if (puttingBack) note(); });
  addEventListener("pagehide", sleep);
  studio.on("draft", later);
  studio.idle(later);

  return {
    undo: () => go(-1),
    redo: () => go(1),
    // Makes a field one of what is noted.
    add(field) {
      fields.add(field);
      studio.watch(field, (value) => { values[field] = value; later(); });
    },
    // What is more than its field: `take` returns it as JSON, `put` brings it back, `same` is equal for states that differ in nothing that counts.
    section: (name, calls) => sections.set(name, calls),
    // Brings a draft back as it was kept on the server: the values of the fields, and the Control section. What a person had set by then
    // stays a step of its own.
    restore(content) {
      if (studio.touched) {
        note();
        steps.splice(at + 1, Infinity, take());
        at += 1;
      }
      const { units = [], chosen = {}, kind = null } = content.control ?? {};
      const drawings = Object.fromEntries(units.map(({ id }) => [id, content[`control-${id}`]]).filter(([, drawn]) => drawn));
      const known = own().filter((field) => field in (content.draft ?? {}));
      put({
        fields: Object.fromEntries(known.map((field) => [field, content.draft[field]])),
        sections: kind ? { control: { units, chosen, kind, drawings } } : {},
      });
    },
  };
})();
