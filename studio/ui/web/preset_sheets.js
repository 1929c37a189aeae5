// The sheets of the Preset row: what would change, with a tick for each part; a preset's name, picture and parts; what came of a file.
studio.readFile = (blob) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.addEventListener("load", () => done(reader.result));
  reader.addEventListener("error", () => failed(reader.error));
  reader.readAsDataURL(blob);
});

studio.presetSheets = (desk) => {
  const { find, make, server, ask, complete } = desk;

  const complainIn = (part) => (text) => {
    find(part).textContent = text;
    find(part).hidden = !text;
  };
  const cancels = (dialog) => find(`${dialog}-cancel`).addEventListener("click", () => find(dialog).close());

  // ---- what would change ----
  let looked = null; // {name, parts, instead}: what the sheet shows
  const instead = () => [...looked.instead].map(([pair, other]) => [...JSON.parse(pair), other]);
  const asked = async () => {
    const form = await complete();
    return [looked.name, form, looked.parts, instead()];
  };

  function partNode(part, changes) {
    const box = make("input", { type: "checkbox", checked: looked.parts.includes(part.name) });
    const mine = changes.filter((change) => change.part === part.name);
    const label = make("label", { className: "tick" }, box, make("b", { textContent: part.title }));
    if (box.checked && !mine.length) label.append(make("span", { className: "note", textContent: "nothing changes" }));
    const lines = mine.map((change) => make("div", { className: "preset-change" },
      make("span", { textContent: change.title }), make("del", { textContent: change.old, translate: false }), make("ins", { textContent: change.new, translate: false })));
    box.addEventListener("input", async () => {
      looked.parts = desk.parts.map((one) => one.name).filter((name) => (name === part.name ? box.checked : looked.parts.includes(name)));
      await draw();
      find("sheet-parts").querySelector(`[data-name="${part.name}"] input`)?.focus();
    });
    const node = make("div", { className: "preset-part" }, label, ...lines);
    node.dataset.name = part.name;
    return node;
  }

  function findingNode(finding) {
    const node = make("div", { className: "preset-finding" }, make("p", { className: "warning", textContent: finding.says }));
    const offers = [...new Set([finding.taken, ...finding.offers])].filter(Boolean);
    if (finding.kind !== "pictures" && offers.length) {
      const select = make("select", {}, new Option(finding.kind === "model" ? "Keep the present model" : finding.kind === "controlnets" ? "First that fits" : "Leave out", ""), ...offers.map((name) => new Option(`Take ${name}`, name)));
      const pair = JSON.stringify([finding.kind, finding.name]);
      select.value = looked.instead.get(pair) ?? finding.taken;
      select.setAttribute("aria-label", `Instead of ${finding.name}`);
      select.addEventListener("input", async () => {
        looked.instead.set(pair, select.value);
        await draw();
      });
      node.append(make("div", { className: "field" }, select));
    }
    return node;
  }

  let turn = 0; // number of the newest look, lest an older answer unticks what was ticked since
  async function draw() {
    const mine = (turn += 1);
    const answer = await ask(server.look_at, await asked(), complainIn("sheet-error"));
    if (!answer || mine !== turn) return false;
    looked.parts = answer.parts;
    find("sheet-title").textContent = `Apply ${answer.preset.name}`;
    Object.assign(find("sheet-description"), { translate: answer.preset.builtin, textContent: answer.preset.description });
    find("sheet-description").hidden = !answer.preset.description;
    find("sheet-parts").replaceChildren(...desk.parts.filter((part) => answer.preset.parts.includes(part.name)).map((part) => partNode(part, answer.changes)));
    find("findings").replaceChildren(...answer.findings.map(findingNode), ...answer.problems.map((textContent) => make("p", { className: "warning", textContent })));
    find("sheet-apply").disabled = !answer.parts.length;
    complainIn("sheet-error")("");
    return true;
  }

  async function look(name) {
    looked = { name, parts: null, instead: new Map() };
    if (!(await draw())) return desk.tell(find("sheet-error").textContent);
    find("sheet").showModal();
    find("sheet-apply").focus();
  }

  const takeOver = studio.once(async () => {
    const answer = await ask(server.take, await asked(), complainIn("sheet-error"));
    if (!answer) return;
    find("sheet").close();
    desk.applied(answer.preset, answer.values);
  });
  find("sheet").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    takeOver();
  });
  cancels("sheet");

  // ---- name, description, parts, picture ----
  let editing = null; // the preset that is changed; null when a new one is saved
  let cover = null; // a new picture as a data: address, an empty text for none, null as it is
  const ticked = () => [...find("details-parts").querySelectorAll("input:checked")].map((box) => box.value);
  const complain = complainIn("details-error");
  const stage = () => document.querySelector('#stage [data-part="final"]:not([hidden]) img');

  function drawCover(address) {
    find("cover").hidden = !address;
    if (address) find("cover").src = address;
    find("cover-none").hidden = !address;
  }

  function open(title, preset, name) {
    editing = preset;
    cover = null;
    complain("");
    find("details-title").textContent = title;
    find("details-name").value = name;
    find("details-description").value = preset?.description ?? "";
    find("details-parts").hidden = Boolean(preset);
    find("details-parts").querySelectorAll("input").forEach((box) => { box.checked = true; });
    find("details-over").hidden = true;
    find("cover-shown").disabled = !stage();
    drawCover(preset?.picture ? desk.covers.get(preset.picture) : "");
    find("details").showModal();
    find("details-name").select();
  }

  async function save(replace) {
    const description = find("details-description").value;
    // What nobody wrote says nothing: a description given in another tab stays, and so does that of the preset whose place a new one takes.
    const common = { ...(description === (editing?.description ?? "") ? {} : { description }), ...(cover === null ? {} : { picture: cover }) };
    const name = find("details-name").value;
    const over = (text, _, answer) => { complain(text); find("details-over").hidden = !answer?.taken; };
    const values = editing ? null : await complete();
    const answer = editing
      ? await ask(server.edit_preset, { name: editing.name, new: name, ...common }, over)
      : await ask(server.save_preset, { name, values, parts: ticked(), replace, ...common }, over);
    if (!answer) return;
    find("details").close();
    if (!editing) return desk.saved(answer, values);
    const { values: set } = desk.chosen();
    desk.choose(answer.preset, Object.keys(set), set);
    desk.tell(`${answer.preset.name} is saved.`);
  }

  async function shrunk(source) {
    const bitmap = await createImageBitmap(source);
    const scale = Math.min(1, 384 / Math.max(bitmap.width, bitmap.height));
    const canvas = make("canvas", { width: Math.max(8, Math.round(bitmap.width * scale)), height: Math.max(8, Math.round(bitmap.height * scale)) });
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return canvas.toDataURL("image/png");
  }
  async function takeCover(source) {
    try {
      cover = await shrunk(source);
      drawCover(cover);
      complain("");
    } catch (error) {
      console.warn("studio: a preset's picture", error);
      complain("That is no picture that this browser can read; choose a PNG, JPEG or WebP file.");
    }
  }

  find("cover-shown").addEventListener("click", () => { if (stage()) takeCover(stage()); });
  find("cover-file").addEventListener("click", () => find("cover-input").click());
  find("cover-none").addEventListener("click", () => { cover = ""; drawCover(""); find("cover-file").focus(); });
  find("cover-input").addEventListener("input", () => {
    const [file] = find("cover-input").files;
    find("cover-input").value = "";
    if (file) takeCover(file);
  });
  find("details").querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); save(false); });
  find("details-over").addEventListener("click", () => save(true));
  find("details-name").addEventListener("input", () => { find("details-over").hidden = true; });
  cancels("details");

  return {
    look,
    saveAs: () => open("Save as a preset", null, desk.chosen() ? `${desk.chosen().name} 2` : ""),
    async edit() {
      const preset = desk.chosen();
      await desk.cover([preset.picture]);
      open(`Change ${preset.name}`, preset, preset.name);
    },
    report(title, answer) {
      find("report-title").textContent = title;
      const lines = [...(answer.names.length ? [answer.names.slice(0, 20).join(", ") + (answer.names.length > 20 ? ", ..." : "")] : []), ...answer.notes];
      find("report-notes").replaceChildren(...lines.map((textContent) => make("p", { textContent })));
      find("report").showModal();
    },
  };
};
