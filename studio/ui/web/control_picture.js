// Pictures that are brought along for the shown unit: files dropped, pasted or chosen, and the preprocessor that makes a map of them.
studio.controlPicture = (desk) => {
  const { find, server } = desk;
  const thumbnails = new Map(); // hash -> promise of a data address
  const rows = {}; // kind -> preprocessors

  const asAddress = (blob) => new Promise((done, failed) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(reader.result));
    reader.addEventListener("error", () => failed(reader.error));
    reader.readAsDataURL(blob);
  });

  // A file goes as it is, because a browser's canvas would cut a 16-bit depth map down; only large photos are made smaller here.
  const LARGEST_FILE = 20_000_000, SMALLER_SIDE = 2048;
  async function smaller(file) {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, SMALLER_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
  }

  async function sent(file, kind) {
    let blob = file;
    if (file.size > LARGEST_FILE) {
      blob = await smaller(file).catch(() => null);
      if (!blob) return { error: "The file is too large and no picture that this browser can read; give a smaller one." };
    }
    return studio.ask(server.keep, [await asAddress(blob), kind]);
  }

  // A unit takes the picture that the server was asked to keep, unless the unit is gone by then or was given another one.
  async function take(unit, asked, unreachable) {
    const newest = desk.begin(unit, "picture"), still = desk.begin(unit, "by");
    desk.complain(unit, "");
    const answer = await asked.catch((error) => {
      console.warn("studio: a picture could not be kept", error);
      return { error: unreachable };
    });
    if (!newest()) return;
    if (answer.error) return desk.complain(unit, answer.error);
    if (still()) unit.by = "picture";
    if (!unit.picked) choosePreprocessor(unit, answer.preprocessor);
    unit.note = answer.notes;
    thumbnails.set(answer.image, Promise.resolve(answer.picture));
    desk.gotPicture(unit, "picture", answer.image);
  }

  const bring = (file) => {
    const unit = desk.shown();
    desk.meant(unit);
    studio.settle(take(unit, sent(file, unit.kind), "The studio does not answer; give the picture again."));
  };

  // What is gone stays gone; what could not be asked for is asked for again.
  function thumbnail(hash) {
    if (!thumbnails.has(hash)) {
      const asked = studio.ask(server.thumbnail, hash).then((answer) => {
        if (answer.error) throw new studio.Told(answer.error);
        return answer.picture;
      });
      asked.catch((error) => { if (!(error instanceof studio.Told)) thumbnails.delete(hash); });
      thumbnails.set(hash, asked);
    }
    return thumbnails.get(hash);
  }

  async function show(unit) {
    drawPreprocessors(unit);
    if (!rows[unit.kind] && !listing.has(unit.kind)) list(unit.kind);
    const picture = find("source");
    find("source-note").textContent = unit.note ? `${unit.note[0].toUpperCase()}${unit.note.slice(1)}.` : "";
    find("source-note").hidden = !unit.note;
    find("drop").toggleAttribute("data-full", Boolean(unit.given));
    // No other unit's picture stands there meanwhile.
    const wanted = unit.given;
    picture.hidden = !wanted || picture.dataset.hash !== wanted;
    if (!wanted) return;
    try {
      const address = await thumbnail(wanted);
      if (desk.shown() !== unit || unit.given !== wanted) return;
      Object.assign(picture, { src: address, alt: "The picture that was given", hidden: false });
      picture.dataset.hash = wanted;
    } catch (error) {
      console.warn("studio: a picture could not be shown", error);
      if (unit.given === wanted) desk.complain(unit, error instanceof studio.Told ? error.message : "The studio does not answer; choose this tab again.");
    }
  }

  // Each preprocessor keeps its own numbers; what is at its default is left out of the request.
  function choosePreprocessor(unit, name) {
    unit.values = { ...unit.values, [unit.use.preprocessor]: unit.use.settings };
    unit.use.preprocessor = name;
    unit.use.settings = unit.values[name] ?? {};
  }

  const rowOf = (unit) => rows[unit.kind]?.find((row) => row.name === desk.useOf(unit).preprocessor);
  const listing = new Set(); // kinds whose preprocessors are being asked for
  async function list(name) {
    listing.add(name);
    try {
      await listRows(name, false);
    } catch (error) {
      console.warn("studio: the preprocessors could not be listed", error);
    }
    listing.delete(name);
    if (rows[name]) desk.draw();
  }
  async function listRows(name, again) {
    if (again) delete rows[name];
    rows[name] ??= await studio.ask(server.preprocessors, name);
  }

  let settingsShown = ""; // which unit's and preprocessor's settings stand there, and how they are set
  const standing = (unit) => JSON.stringify([unit.id, unit.use.preprocessor, Boolean(rowOf(unit)), unit.use.settings]);
  function drawPreprocessors(unit) {
    const row = rowOf(unit);
    const select = find("preprocessor");
    const options = (rows[unit.kind] ?? []).map(({ name, title, description, state, says }) => {
      const option = new Option(state === "offline" ? `${title}: ${says}` : title, name);
      option.title = description;
      return option;
    });
    const listing = options.map((option) => `${option.value} ${option.text}`).join();
    if (select.dataset.listing !== listing) {
      select.replaceChildren(...options);
      select.dataset.listing = listing;
    }
    select.value = unit.use.preprocessor;
    find("preprocessor-note").textContent = row?.description ?? "";
    find("preprocessor-size").textContent = row?.says ?? "";
    if (standing(unit) === settingsShown) return;
    settingsShown = standing(unit);
    find("preprocessor-settings").replaceChildren(...(row?.settings ?? []).map((setting) => settingWidget(unit, setting)));
  }

  function settingWidget(unit, { name, title, default: usual, least, most, step, help }) {
    const input = document.createElement("input");
    const label = document.createElement("label");
    const toggle = least === 0 && most === 1 && step === 1;
    const value = unit.use.settings[name] ?? usual;
    const set = (to) => {
      const now = desk.shown(), { [name]: _, ...others } = now.use.settings;
      now.use.settings = to === usual ? others : { ...others, [name]: to };
      // Its own widget shows it already, and must not be made anew under the pointer.
      settingsShown = standing(now);
      desk.setUse({});
    };
    if (toggle) {
      Object.assign(input, { type: "checkbox", checked: value >= 0.5 });
      input.setAttribute("role", "switch");
      label.className = "switch";
      label.append(input, Object.assign(document.createElement("span"), { textContent: `${title}: ${help}` }));
      input.addEventListener("input", () => set(input.checked ? 1 : 0));
      return label;
    }
    const field = Object.assign(document.createElement("div"), { className: "field slider" });
    const line = Object.assign(document.createElement("div"), { className: "label" });
    const output = document.createElement("output");
    Object.assign(input, { type: "range", min: least, max: most, step, value, id: `setting-${name}` });
    Object.assign(label, { htmlFor: input.id, textContent: title, title: help });
    const say = () => { output.textContent = String(Number(Number(input.value).toFixed(3))); studio.slide(input); };
    input.addEventListener("input", () => { say(); set(Number(input.value)); });
    say();
    line.append(label, output);
    field.append(line, input);
    return field;
  }

  find("preprocessor").addEventListener("input", () => desk.edit((unit) => {
    unit.picked = true;
    choosePreprocessor(unit, find("preprocessor").value);
  }));
  const drop = find("drop");
  const picked = (list) => [...(list ?? [])].find((file) => file.type.startsWith("image/")) ?? list?.[0];
  find("choose").addEventListener("click", () => find("file").click());
  find("file").addEventListener("change", () => { if (find("file").files[0]) bring(find("file").files[0]); find("file").value = ""; });
  const section = desk.element.querySelector(".control");
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
    if (!file || studio.pastesText(event) || find("unit").inert || !drop.offsetParent) return;
    event.preventDefault();
    bring(file);
  });

  return { show, take, rowOf, listed: (kind) => kind in rows, listAgain: (kind) => listRows(kind, true) };
};
