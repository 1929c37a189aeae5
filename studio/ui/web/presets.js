// The Preset row: which one is chosen and whether the form still is as it set it, the list, the menu, and what was just done, with its undo.
studio.presets = ({ element, props, server }) => {
  const find = (part) => element.querySelector(`[data-part="${part}"]`);
  const form = {}; // the form's values by field, as they are now
  const covers = new Map(); // key -> data: address
  let chosen = studio.recall("preset", null); // {name, star, builtin, parts, values}: the preset and what it left in the form
  let rows = [];
  let undo = null;

  const make = (tag, attributes = {}, ...inside) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...inside);
    return node;
  };

  // ---- what is chosen ----
  const differs = () => chosen && Object.keys(chosen.values).some((field) => JSON.stringify(chosen.values[field]) !== JSON.stringify(form[field]));

  function draw() {
    Object.assign(find("name"), { translate: !chosen, textContent: chosen?.name ?? "Presets" });
    find("star").hidden = !chosen?.star;
    find("changed").hidden = !differs();
    find("pick").setAttribute("aria-label", chosen ? `Preset ${chosen.name}${chosen.star ? ", starred" : ""}${differs() ? ", changed" : ""}` : "Presets");
    const own = chosen && !chosen.builtin;
    element.querySelectorAll("[data-act]").forEach((item) => {
      const needsOne = !["save-as", "import", "export-all"].includes(item.dataset.act);
      item.disabled = (needsOne && !chosen) || (item.hasAttribute("data-own") && !own);
      item.title = !item.disabled ? "" : chosen ? "Built-in presets stay as they are; duplicate it first." : "Choose a preset first.";
    });
  }

  // Notes how the form stands as what the preset set; what panels make of it themselves belongs to it.
  function choose(row, fields, values = form) {
    chosen = row && { ...row, values: Object.fromEntries(fields.map((field) => [field, values[field]])) };
    studio.keep("preset", chosen);
    draw();
  }
  const fieldsOf = (parts) => props.parts.filter((part) => parts.includes(part.name)).flatMap((part) => part.fields);

  // ---- what was done ----
  function tell(text, back = null) {
    find("told").hidden = !text;
    find("told-text").textContent = text;
    find("told-undo").hidden = !back;
    undo = back;
  }

  // Asks the server; its sentence, or that it cannot be reached, becomes what is told, or what `complain` makes of it.
  async function ask(call, data, complain = tell) {
    try {
      const answer = await studio.ask(call, data);
      if (answer.error) complain(answer.error, null, answer);
      return answer.error ? null : answer;
    } catch (error) {
      console.warn("studio: presets", error);
      complain("The studio does not answer; try again.");
      return null;
    }
  }

  function set(values) {
    Object.entries(values).forEach(([field, value]) => studio.say("set", { field, value }));
  }

  // The form with what is just being drawn or brought along.
  async function complete() {
    await studio.complete();
    return structuredClone(form);
  }

  function applied(row, values) {
    const before = Object.fromEntries(Object.keys(values).map((field) => [field, form[field]]));
    const last = chosen;
    set(values);
    setTimeout(() => choose(row, Object.keys(values)));
    tell(`${row.name} is applied.`, () => {
      set(before);
      setTimeout(() => { chosen = last; studio.keep("preset", chosen); draw(); });
      tell("");
    });
  }

  // What was chosen before is chosen again, and the form compared with what that one had set.
  const backFrom = (token, told, last = chosen) => async () => {
    const answer = await ask(server.undo_preset, token);
    if (!answer) return;
    chosen = last && { ...last, ...(last.name === answer.preset.name ? answer.preset : {}) };
    studio.keep("preset", chosen);
    draw();
    tell(told(answer.preset.name));
  };

  // `values` is the form as it was saved, `parts` what of it was.
  function saved(answer, values, parts = answer.preset.parts) {
    const back = answer.undo ? backFrom(answer.undo, (name) => `${name} is as it was before.`) : null;
    choose(answer.preset, fieldsOf(parts), values);
    tell(`${answer.preset.name} is saved.`, back);
  }

  // ---- the list ----
  async function cover(keys) {
    const wanted = keys.filter((key) => key && !covers.has(key));
    if (!wanted.length) return;
    const answer = await ask(server.covers, wanted, () => {});
    Object.entries(answer?.pictures ?? {}).forEach(([key, address]) => covers.set(key, address));
  }

  function rowNode(row) {
    const look = make("span", { className: "look" }, row.picture && covers.has(row.picture) ? make("img", { src: covers.get(row.picture), alt: "" }) : row.name.slice(0, 1).toUpperCase());
    const words = make("span", { className: "preset-words" }, make("b", { textContent: row.name, translate: false }), make("span", { textContent: row.description || row.facts, translate: row.builtin || !row.description }));
    const open = make("button", { type: "button", className: "preset-open", title: row.facts }, look, words);
    open.setAttribute("aria-current", row.name === chosen?.name);
    open.addEventListener("click", () => { find("list").hidePopover(); sheets.look(row.name); });
    const node = make("div", { className: "preset-line" }, open);
    if (!row.builtin) {
      const star = make("button", { type: "button", className: "preset-star", textContent: row.star ? "★" : "☆" });
      star.dataset.name = row.name;
      star.setAttribute("aria-label", `Star ${row.name}`);
      star.setAttribute("aria-pressed", row.star);
      star.addEventListener("click", async () => {
        const answer = await ask(server.edit_preset, { name: row.name, star: !row.star });
        if (!answer) return;
        if (chosen?.name === row.name) { chosen.star = answer.preset.star; studio.keep("preset", chosen); draw(); }
        await list();
        [...element.querySelectorAll(".preset-line .preset-star")].find((other) => other.dataset.name === row.name)?.focus();
      });
      node.append(star);
    }
    return node;
  }

  let asked = 0;
  async function list() {
    const turn = ++asked;
    const answer = await ask(server.find_presets, find("search").value);
    if (!answer || turn !== asked) return;
    await cover(answer.rows.map((row) => row.picture));
    if (turn !== asked) return;
    rows = answer.rows;
    const groups = [["Yours", rows.filter((row) => !row.builtin)], ["Built in", rows.filter((row) => row.builtin)]];
    find("rows").replaceChildren(...groups.flatMap(([title, some]) => (some.length ? [make("h3", { textContent: title }), ...some.map(rowNode)] : [])));
    const searched = find("search").value.trim();
    find("list-note").textContent = !rows.length ? (searched ? "No preset has that in its name, description or prompts." : "No presets yet; Save makes one.") : answer.more ? `${answer.more} more; search for them.` : "";
    find("list-note").hidden = !find("list-note").textContent;
    find("problems").hidden = !answer.problems.length;
    find("problems").querySelector("summary").textContent = `${answer.problems.length} ${answer.problems.length === 1 ? "file" : "files"} cannot be used`;
    find("problems").replaceChildren(find("problems").querySelector("summary"), ...answer.problems.map((textContent) => make("p", { textContent })));
    find("deleted").hidden = !answer.deleted.length;
    find("deleted").replaceChildren(find("deleted").querySelector("summary"), ...answer.deleted.map(deletedNode));
  }

  function deletedNode({ name, undo: token }) {
    const back = make("button", { type: "button", className: "link", textContent: "Bring back" });
    back.setAttribute("aria-label", `Bring back ${name}`);
    back.addEventListener("click", async () => {
      if (!(await ask(server.undo_preset, token))) return;
      await list();
      find("search").focus();
    });
    return make("p", { className: "preset-gone" }, make("span", { textContent: name, translate: false }), back);
  }

  let timer = 0;
  find("search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(list, 120); });
  find("list").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || studio.composes(event)) return;
    event.preventDefault();
    const stops = [find("search"), ...element.querySelectorAll(".preset-open")];
    stops[Math.max(0, Math.min(stops.length - 1, stops.indexOf(document.activeElement) + step))].focus();
  });

  // A popover hangs below its button, or above it where there is more room, inside the window.
  function place(popover, button, width) {
    const { left, top, bottom } = button.getBoundingClientRect();
    const wide = Math.min(width, innerWidth - 24);
    const below = innerHeight - bottom - 18;
    const under = below > 300 || below > top;
    Object.assign(popover.style, {
      width: `${wide}px`,
      left: `${Math.max(12, Math.min(left, innerWidth - wide - 12))}px`,
      top: under ? `${bottom + 6}px` : "auto",
      bottom: under ? "auto" : `${innerHeight - top + 6}px`,
      maxHeight: `${under ? below : top - 18}px`,
    });
  }
  find("list").addEventListener("beforetoggle", ({ newState }) => {
    if (newState !== "open") return;
    place(find("list"), find("pick"), 420);
    find("search").value = "";
    list();
  });
  find("list").addEventListener("toggle", ({ newState }) => { if (newState === "open") find("search").focus(); });
  find("menu").addEventListener("beforetoggle", ({ newState }) => { if (newState === "open") place(find("menu"), find("more"), 230); });

  // ---- what a person does ----
  const download = (answer) => {
    const bytes = Uint8Array.from(atob(answer.data), (letter) => letter.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes]));
    make("a", { href: url, download: answer.file }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  const exported = async (names, pictures) => {
    const answer = await ask(server.export_presets, [names, pictures]);
    if (answer) download(answer);
  };
  const acts = {
    "save-as": () => sheets.saveAs(),
    edit: () => sheets.edit(),
    async duplicate() {
      const answer = await ask(server.duplicate_preset, chosen.name);
      if (!answer) return;
      choose(answer.preset, Object.keys(chosen.values), chosen.values);
      tell(`${answer.preset.name} is a copy of your own.`);
    },
    async delete() {
      const { name } = chosen;
      const answer = await ask(server.delete_preset, name);
      if (!answer) return;
      const back = backFrom(answer.undo, (other) => `${other} is back.`);
      choose(null, []);
      tell(`${name} is deleted.`, back);
      find("told-undo").focus();
    },
    import: () => find("file").click(),
    export: () => exported([chosen.name], false),
    "export-zip": () => exported([chosen.name], true),
    "export-all": () => exported(null, true),
  };
  find("menu").addEventListener("click", ({ target }) => {
    const act = target.dataset?.act;
    if (!act) return;
    find("menu").hidePopover();
    acts[act]();
  });
  // Saves over one's own; a built-in one, or none, needs a name first.
  find("save").addEventListener("click", studio.once(async () => {
    if (!chosen || chosen.builtin) return sheets.saveAs();
    // What was left out when it was applied stays as it is in the preset.
    const { name } = chosen, parts = chosen.parts.filter((part) => fieldsOf([part]).some((field) => field in chosen.values));
    const values = await complete();
    const answer = await ask(server.save_preset, { name, values, parts, replace: true, add: true });
    if (answer) saved(answer, values, parts);
    return undefined;
  }));
  find("told-undo").addEventListener("click", () => undo?.());
  find("told-close").addEventListener("click", () => tell(""));
  find("file").addEventListener("input", async () => {
    const [file] = find("file").files;
    find("file").value = "";
    if (!file) return;
    if (file.size > 40_000_000) return tell(`${file.name} has ${Math.round(file.size / 1e6)} MB; give a file of at most 40 MB.`);
    const address = await studio.readFile(file);
    const answer = await ask(server.import_presets, [file.name, address.slice(address.indexOf(",") + 1)]);
    if (!answer) return;
    const count = answer.names.length;
    sheets.report(count ? `${count} ${count === 1 ? "preset" : "presets"} taken in` : "Nothing new was taken in", answer);
  });

  const sheets = studio.presetSheets({ element, find, make, server, ask, complete, covers, cover, applied, saved, choose, tell, parts: props.parts, chosen: () => chosen });
  props.parts.flatMap((part) => part.fields).forEach((field) => studio.watch(field, (value) => { form[field] = value; draw(); }));
  draw();
};
