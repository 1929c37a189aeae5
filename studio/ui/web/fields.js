// The form's widgets. Each kind knows how to show a value and how to read it; all else is the same for every field.
studio.field = ({ element, props, server }) => {
  const find = (part) => element.querySelector(`[data-part="${part}"]`);
  const input = find("input");
  const kinds = {
    text: () => ({ show: (value) => { input.value = value ?? ""; grow(); }, read: () => input.value }),
    slider: () => {
      const range = find("range");
      const text = (value) => (Number.isInteger(value) ? value.toFixed(props.digits) : String(Number(value.toFixed(6))));
      const show = (value) => {
        input.value = typeof value === "number" ? text(value) : "";
        slide(value);
      };
      const slide = (value) => {
        range.value = typeof value === "number" ? value : props.least;
        range.style.setProperty("--part", `${(100 * (range.value - props.least)) / (props.most - props.least)}%`);
      };
      range.addEventListener("input", () => { show(Number(range.value)); changed(); });
      input.addEventListener("input", () => slide(number()));
      return { show, read: number };
    },
    size: () => {
      studio.watch("card", (card) => { input.placeholder = card.native; });
      return { show: (value) => { input.value = value ?? ""; }, read: number };
    },
    seed: () => {
      let last = null;
      const mark = () => {
        const random = input.value === "";
        find("dice").setAttribute("aria-pressed", random);
        find("lock").setAttribute("aria-pressed", !random);
        find("lock").disabled = random && last === null;
        find("note").textContent = random && last !== null ? `last ${last}` : "";
      };
      const choose = (value) => { show(value); changed(); };
      const show = (value) => { input.value = value === -1 ? "" : value ?? ""; mark(); };
      find("dice").addEventListener("click", () => choose(-1));
      find("lock").addEventListener("click", () => choose(input.value === "" ? last : -1));
      input.addEventListener("input", mark);
      studio.watch("last seed", (seed) => { last = seed; mark(); });
      return { show, read: () => (input.value === "" && !input.validity.badInput ? -1 : number()) };
    },
    choice: () => {
      const rows = new Map(props.groups.flatMap(([, rows]) => rows).map((row) => [row.name, row]));
      const show = (value) => {
        input.value = rows.has(value) ? value : props.value;
        find("note").textContent = rows.get(input.value).description;
      };
      input.addEventListener("input", () => show(input.value));
      return { show, read: () => input.value };
    },
  };

  // What is no number reads as an empty field; a sign that the one validation refuses stands for it.
  const number = () => (input.validity.badInput ? "?" : Number.isNaN(input.valueAsNumber) ? null : input.valueAsNumber);
  const grow = () => { input.style.height = "auto"; input.style.height = `${input.scrollHeight + 2}px`; };
  const tell = () => studio.know(props.field, kind.read());
  const changed = () => { studio.keepDraft(props.field, kind.read()); tell(); };

  const kind = kinds[props.kind]();
  input.addEventListener("input", () => { if (props.kind === "text") grow(); changed(); });
  studio.on("set", ({ field, value }) => { if (field === props.field) { kind.show(value); changed(); } });
  studio.on("collect", () => { props.value = kind.read(); });
  studio.timeline.add(props.field);
  kind.show(props.field in studio.draft ? studio.draft[props.field] : props.value);
  if (props.kind === "text") studio.countTokens({ field: props.field, input, note: find("note"), warning: find("warning"), server });
  tell();
};

// A list field holds its entries; a panel says `set` with a new list, and watches the field's name to show it.
studio.listed = ({ props }) => {
  let entries = studio.draft[props.field] ?? props.value ?? [];
  const tell = () => studio.know(props.field, entries);
  studio.on("set", ({ field, value }) => {
    if (field !== props.field) return;
    entries = value ?? [];
    studio.keepDraft(field, entries);
    tell();
  });
  studio.on("collect", () => { props.value = entries; });
  studio.timeline.add(props.field);
  tell();
};

// Counts after the typing pauses, and again when another model (another tokenizer) is chosen.
studio.countTokens = ({ field, input, note, warning, server }) => {
  let timer = 0;
  let model = null;
  let turn = 0; // number of the newest count, lest an older text's comes last
  const count = async () => {
    const mine = (turn += 1);
    try {
      const answer = await studio.ask(server.count, [input.value, model]);
      if (mine !== turn) return;
      note.textContent = answer.note;
      warning.textContent = answer.warning;
      warning.hidden = !answer.warning;
    } catch (error) {
      console.warn("studio: the tokens could not be counted", error);
    }
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(count, 250); };
  studio.watch(field, soon);
  studio.watch("model", (name) => { model = name; soon(); });
};

// Gradio says nothing of a press that no network carried, and loads the page anew once there is one again: it is said now, and then.
studio.unsent = "Generate did not reach the studio; press it again.";
studio.reached = () => fetch("manifest.json", { cache: "no-store" }).then((answer) => answer.text()).catch((error) => {
  console.warn("studio: Generate was pressed without a network", error);
  sessionStorage.setItem("studio-unsent", "");
  studio.say("not generated", studio.unsent);
});

// Generate and Stop. Gradio lays its own start values over what a widget sets while the page loads, so the widgets
// hand their values in right before gradio collects them.
studio.actions = ({ element, trigger }) => {
  const [generate, stop] = element.querySelectorAll("button");
  const hint = element.querySelector('[data-part="hint"]');
  let busy = false, collecting = false;
  const draw = () => {
    // A button that is switched off loses the focus to nowhere.
    if (!busy && document.activeElement === stop) generate.focus();
    stop.disabled = !busy;
    const words = collecting ? "waits for your picture" : busy ? "adds to your queue" : "";
    hint.textContent = words || "Ctrl ⏎";
    hint.toggleAttribute("data-words", Boolean(words));
  };
  generate.addEventListener("click", async () => {
    if (collecting) return undefined;
    const complete = studio.complete();
    collecting = studio.pending.size > 0;
    draw();
    await complete;
    collecting = false;
    draw();
    const asked = { sentence: "" };
    studio.say("may generate", asked);
    if (asked.sentence) return studio.say("not generated", asked.sentence);
    studio.say("collect");
    trigger("click");
    studio.reached();
    return undefined;
  });
  stop.addEventListener("click", () => studio.say("stop"));
  studio.watch("busy", (now) => { busy = now; draw(); });
};

// Example prompts: one stop for Tab, arrow keys move inside, a press fills the form.
studio.examples = ({ element, props }) => {
  const chips = [...element.querySelectorAll("button")];
  const focus = (index) => {
    const next = (index + chips.length) % chips.length;
    chips.forEach((chip, i) => { chip.tabIndex = i === next ? 0 : -1; });
    chips[next].focus();
  };
  chips.forEach((chip, i) => {
    chip.tabIndex = i === 0 ? 0 : -1;
    chip.addEventListener("click", () => Object.entries(props.examples[i]).forEach(([field, value]) => studio.say("set", { field, value })));
    chip.addEventListener("keydown", ({ key }) => {
      if (key === "ArrowRight") focus(i + 1);
      if (key === "ArrowLeft") focus(i - 1);
    });
  });
};

// A heading that opens and closes the column after it; closed, it still says how things are set.
studio.section = ({ element, props }) => {
  const heading = element.querySelector("button");
  const values = {};
  let followed = [];
  const open = (wanted) => {
    heading.setAttribute("aria-expanded", wanted);
    document.getElementById(props.controls).toggleAttribute("hidden", !wanted);
  };
  heading.addEventListener("click", () => {
    const wanted = heading.getAttribute("aria-expanded") !== "true";
    open(wanted);
    studio.keepDraft(`open ${props.controls}`, wanted);
  });
  studio.on("open", (column) => { if (column === props.controls) open(true); });
  const word = (entry) => (entry.kind && studio.followed(followed, entry)?.text.split(", ")[0]) || null;
  const said = (value, digits) => {
    if (Array.isArray(value)) return value.flatMap((entry) => [`${entry.kind ?? entry.name} ${said(entry.weight, digits)}`, word(entry)]).filter(Boolean).join(" · ");
    return typeof value === "number" ? value.toFixed(digits) : value;
  };
  const shown = ([field, digits]) => said(values[field], digits);
  const draw = () => { element.querySelector("span").textContent = props.summary.map(shown).filter(Boolean).join(" · "); };
  props.summary.forEach(([field]) => studio.watch(field, (value) => { values[field] = value; draw(); }));
  // How the shown picture follows the ControlNet units stands beside them.
  if (props.summary.some(([field]) => field === "controls")) studio.watch("followed", (known) => { followed = known; draw(); });
  open(studio.draft[`open ${props.controls}`] ?? true);
};

// Sizes that suit the chosen model; they fill width and height.
studio.sizes = ({ element, props }) => {
  const select = element.querySelector("select");
  let model = null;
  const size = { width: null, height: null };
  const side = (value) => Math.round(value / model.multiple) * model.multiple;
  const offers = () => props.shapes.map(([label, across, down]) => ({
    label,
    width: side(model.native * Math.sqrt(across / down)),
    height: side(model.native * Math.sqrt(down / across)),
  }));
  const draw = () => {
    if (!model) return;
    const current = { width: size.width ?? model.native, height: size.height ?? model.native };
    const rows = offers();
    const found = rows.findIndex((row) => row.width === current.width && row.height === current.height);
    const options = rows.map((row, i) => new Option(row.label, i));
    if (found < 0) options.push(new Option("Own size", "own"));
    select.replaceChildren(...options);
    select.value = found < 0 ? "own" : found;
  };
  select.addEventListener("input", () => {
    if (select.value === "own") return;
    const row = offers()[select.value];
    const native = row.width === model.native && row.height === model.native;
    studio.say("set", { field: "width", value: native ? null : row.width });
    studio.say("set", { field: "height", value: native ? null : row.height });
  });
  Object.keys(size).forEach((field) => studio.watch(field, (value) => { size[field] = value; draw(); }));
  studio.watch("card", (card) => { model = card; draw(); });
};
