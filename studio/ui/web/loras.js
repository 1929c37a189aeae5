// The LoRA section. What is chosen stands in the field `loras` or, where somebody typed it, as a tag in the prompt;
// a tag stays where it is, its row here moves it, and where both name one LoRA the tag counts, as on the server.
studio.loras = ({ element, props, server }) => {
  const find = (part) => element.querySelector(`[data-part="${part}"]`);
  const TAG = /<lora:([^:<>]+)((?::[^:<>]*)*)>/gi;
  const pictures = new Map(); // name -> promise of a data: address
  const cards = new Map(); // name -> the chosen one's node
  let rows = null; // what is on this machine; null until the server said it
  let problems = [];
  let listed = [];
  let prompt = "";
  let model = null;

  const make = (tag, attributes = {}, ...inside) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...inside);
    return node;
  };
  const shown = (weight) => (Number.isFinite(weight) ? String(Number(weight.toFixed(4))) : "");
  const rowOf = (name) => rows?.find((row) => row.name === name);
  const fullName = (name) => {
    if (!rows || rowOf(name)) return name;
    const tails = rows.filter((row) => row.name.split("/").pop() === name);
    return tails.length === 1 ? tails[0].name : name;
  };

  function readTag([text, name, rest]) {
    const entry = { name: fullName(name.trim()), weight: 1, text_encoder_weight: null, tag: text };
    rest.split(":").slice(1).forEach((part, i) => {
      const [value, key] = part.split("=").reverse();
      const weight = value.trim() === "" ? NaN : Number(value);
      const place = key?.trim().toLowerCase() ?? ["unet", "te"][i];
      if (place === "unet") entry.weight = weight;
      if (place === "te") entry.text_encoder_weight = weight;
    });
    return entry;
  }

  // What counts, as the server counts it: each name once, what is said last, tags after the list.
  function chosen() {
    const found = new Map(listed.map((use) => [use.name, use]));
    for (const match of prompt.matchAll(TAG)) {
      const entry = readTag(match);
      found.delete(entry.name);
      found.set(entry.name, entry);
    }
    return [...found.values()];
  }

  const put = (value) => studio.say("set", { field: "loras", value });
  const write = (text) => studio.say("set", { field: "prompt", value: text });

  function change(name, news) {
    const entry = chosen().find((use) => use.name === name);
    if (!entry) return;
    const { tag, ...use } = { ...entry, ...news };
    if (!tag) return put(listed.map((old) => (old.name === name ? use : old)));
    const weights = use.text_encoder_weight === null ? [use.weight] : [use.weight, use.text_encoder_weight];
    const at = prompt.lastIndexOf(tag);
    const named = tag.slice(6).split(/[:>]/)[0];
    write(`${prompt.slice(0, at)}<lora:${[named, ...weights.map(shown)].join(":")}>${prompt.slice(at + tag.length)}`);
  }

  function remove(name) {
    const next = cards.get(name)?.nextElementSibling ?? cards.get(name)?.previousElementSibling;
    const tags = [...prompt.matchAll(TAG)].filter((match) => readTag(match).name === name);
    if (tags.length) write(tags.reduce((text, [tag]) => text.replace(tag, ""), prompt).replace(/ {2,}/g, " ").trim());
    if (listed.some((use) => use.name === name)) put(listed.filter((use) => use.name !== name));
    (next?.querySelector(".remove") ?? find("search")).focus();
  }

  function add(name) {
    put([...listed, { name, weight: 1, text_encoder_weight: null }]);
    cards.get(name)?.querySelector('input[type="range"]')?.focus();
  }

  function say(word) {
    const words = prompt.split(",").map((part) => part.trim().toLowerCase());
    if (!words.includes(word.toLowerCase())) write(prompt.trim() ? `${prompt.trimEnd().replace(/,$/, "")}, ${word}` : word);
  }

  function picture(row) {
    const box = make("span", { className: "look", textContent: row?.picture ? "" : row?.name.split("/").pop().slice(0, 1).toUpperCase() ?? "?" });
    if (!row?.picture) return box;
    if (!pictures.has(row.name)) pictures.set(row.name, studio.ask(server.lora_picture, row.name).catch(() => null));
    pictures.get(row.name).then((src) => { if (src) box.replaceChildren(Object.assign(new Image(), { src, alt: "" })); });
    return box;
  }

  function slider(label, name, tell) {
    const bounds = { min: props.least, max: props.most, step: 0.05 };
    const range = make("input", { type: "range", ...bounds });
    const typed = make("input", { type: "number", inputMode: "decimal", ...bounds });
    range.setAttribute("aria-label", `${label} of ${name}, slider`);
    typed.setAttribute("aria-label", `${label} of ${name}`);
    typed.step = "any";
    range.addEventListener("input", () => tell(Number(range.value)));
    // What is no number yet is kept as a sign that the one validation refuses, so that the box stays.
    typed.addEventListener("input", () => tell(Number.isNaN(typed.valueAsNumber) ? "?" : typed.valueAsNumber));
    const node = make("div", { className: "field slider" }, make("div", { className: "label" }, make("label", { textContent: label }), typed), range);
    node.show = (value) => {
      range.value = Number.isFinite(value) ? value : 0;
      range.style.setProperty("--part", `${(100 * (range.value - props.least)) / (props.most - props.least)}%`);
      if (document.activeElement !== typed) typed.value = shown(value);
    };
    return node;
  }

  function card(name) {
    const node = make("div", { className: "lora" });
    const row = rowOf(name);
    const note = make("span", { className: "facts" });
    const reason = make("p", { className: "warning", hidden: true });
    const close = make("button", { type: "button", className: "remove", textContent: "×" });
    close.setAttribute("aria-label", `Remove ${name}`);
    close.addEventListener("click", () => remove(name));
    const weight = slider("Weight", name, (value) => change(name, { weight: value }));
    const text = slider("Text encoder", name, (value) => change(name, { text_encoder_weight: value }));
    const apart = make("button", { type: "button", className: "link", textContent: "Text encoder apart" });
    apart.addEventListener("click", () => {
      const use = chosen().find((entry) => entry.name === name);
      change(name, { text_encoder_weight: use.text_encoder_weight === null ? use.weight : null });
    });
    const words = make("div", { className: "chips" });
    for (const word of row?.words ?? []) {
      const chip = make("button", { type: "button", title: `Put "${word}" into the prompt` }, make("span", { textContent: word, translate: false }));
      chip.addEventListener("click", () => say(word));
      words.append(chip);
    }
    words.hidden = !row?.words.length;
    node.append(make("div", { className: "title" }, picture(row), make("span", { className: "name" }, make("b", { textContent: name, translate: false }), note), close));
    node.append(reason, weight, text, apart, words);
    node.update = (use) => {
      const inPrompt = use.tag ? "in the prompt" : "";
      note.textContent = [inPrompt, row?.facts].filter(Boolean).join(" · ");
      reason.textContent = row ? (row.fits && row.state !== "partly" ? "" : row.says) : rows ? `${name} is not here; choose one of the list, or take it out.` : "";
      reason.hidden = !reason.textContent;
      const separate = use.text_encoder_weight !== null;
      weight.show(use.weight);
      text.show(separate ? use.text_encoder_weight : use.weight);
      text.hidden = !separate;
      apart.hidden = !separate && row !== undefined && !row.text;
      apart.setAttribute("aria-expanded", separate);
      apart.textContent = separate ? "Same weight for the text encoder" : "Another weight for the text encoder";
    };
    node.addEventListener("pointerenter", () => hash(name, node), { once: true });
    node.addEventListener("focusin", () => hash(name, node), { once: true });
    return node;
  }

  async function hash(name, node) {
    const base = rowOf(name)?.base;
    const digits = await studio.ask(server.lora_hash, name).catch(() => null);
    node.querySelector(".name").title = [name, base && `trained on ${base}`, digits && `SHA-256 ${digits}`].filter(Boolean).join("\n");
  }

  function offer(row, taken) {
    const button = make("button", { type: "button", className: "offer" });
    const facts = make("span", { className: "facts", textContent: row.facts });
    const says = make("span", { className: row.fits && row.state !== "partly" ? "facts" : "warning", textContent: row.state === "unsure" ? "" : row.says });
    button.append(picture(row), make("span", { className: "name" }, make("b", { textContent: row.name, translate: false }), facts, says));
    // Not `disabled`, so that the reason can be reached by keyboard and screen reader.
    const closed = !row.fits || taken;
    button.setAttribute("aria-disabled", closed);
    button.title = taken ? "already chosen" : row.says;
    if (taken) button.dataset.taken = "";
    button.addEventListener("click", () => { if (!closed && chosen().length < props.at_most) add(row.name); });
    return button;
  }

  function drawChosen(uses) {
    const names = new Set(uses.map((use) => use.name));
    for (const [name, node] of cards) {
      if (!names.has(name)) {
        node.remove();
        cards.delete(name);
      }
    }
    for (const use of uses) {
      if (!cards.has(use.name)) {
        cards.set(use.name, card(use.name));
        find("chosen").append(cards.get(use.name));
      }
      cards.get(use.name).update(use);
    }
  }

  function drawList(uses) {
    const taken = new Set(uses.map((use) => use.name));
    const parts = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (row) => [row.name, row.facts, ...row.words].join(" ").toLowerCase();
    const wanted = (rows ?? []).filter((row) => parts.every((part) => text(row).includes(part)));
    wanted.sort((a, b) => b.fits - a.fits);
    find("list").replaceChildren(...wanted.map((row) => offer(row, taken.has(row.name))));
    find("search").placeholder = rows ? `Search ${rows.length} ${rows.length === 1 ? "LoRA" : "LoRAs"}` : "";
    find("offer").hidden = !rows?.length;
    find("empty").hidden = rows === null || wanted.length > 0;
    find("empty").textContent = rows?.length
      ? "No LoRA has that in its name, family or words."
      : "No LoRAs yet. Put .safetensors files into models/loras of the data folder, or start the studio with --lora-dir and a folder.";
    find("problems").hidden = !problems.length;
    find("problems").replaceChildren(
      make("summary", { textContent: `${problems.length} ${problems.length === 1 ? "file" : "files"} cannot be used` }),
      ...problems.map((sentence) => make("p", { textContent: sentence })),
    );
  }

  let before = "";
  function draw() {
    const uses = chosen();
    drawChosen(uses);
    studio.know("all loras", uses.map(({ name, weight }) => ({ name, weight })));
    // The list is only made anew when other ones are chosen, so that it keeps its place while a slider moves.
    const names = JSON.stringify([uses.map((use) => use.name), find("search").value, rows, problems]);
    if (names !== before) drawList(uses);
    before = names;
  }

  async function refresh() {
    try {
      const asked = model;
      const answer = await studio.ask(server.list_loras, asked);
      if (asked !== model) return;
      if (JSON.stringify(answer.rows) !== JSON.stringify(rows)) {
        pictures.clear();
        cards.forEach((node) => node.remove());
        cards.clear();
      }
      ({ rows, problems } = answer);
      draw();
    } catch (error) {
      console.warn("studio: the LoRAs could not be listed", error);
    }
  }

  find("search").addEventListener("input", draw);
  find("search").addEventListener("focus", refresh);
  studio.watch("loras", (value) => { listed = value ?? []; draw(); });
  studio.watch("prompt", (value) => { prompt = value ?? ""; draw(); });
  studio.watch("model", (name) => { model = name; refresh(); });
};
