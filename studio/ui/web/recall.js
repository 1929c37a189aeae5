// Settings from a picture: dropped anywhere outside the Control section, pasted or chosen; the report, taking over, undo, verifying.
// Also how downloads are written: `studio.download` is what saves a file of this page.
studio.download = async (name, url) => {
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
};

studio.settingsFrom = ({ element, props, server }) => {
  const find = (part) => element.querySelector(`[data-part="${part}"]`);
  const values = {}; // field -> its value now
  let given = null; // {name, address} of the picture in the sheet
  let answer = null; // the report on it
  let check = null; // id of the run that verifies it
  let before = null; // the form's values before they were replaced
  let undone = false; // whether those values are in the form again

  const make = (tag, attributes = {}, ...inside) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...inside);
    return node;
  };
  const asAddress = (blob) => new Promise((done, failed) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(reader.result));
    reader.addEventListener("error", () => failed(reader.error));
    reader.readAsDataURL(blob);
  });

  function complain(sentence) {
    find("error").textContent = sentence;
    find("error").hidden = !sentence;
    if (sentence) find("error").scrollIntoView({ block: "nearest" });
  }

  // ---- reading ----
  const LARGEST = 20_000_000;
  let reading = 0; // number of the newest picture that was given
  async function read(file) {
    if (studio.looksOn()) return;
    const mine = (reading += 1);
    complain("");
    find("choose").setAttribute("aria-busy", "true");
    try {
      if (file.size > LARGEST) return complain(`${file.name} is a file of ${Math.round(file.size / 1e6)} MB; give one of at most 20 MB.`);
      const address = await asAddress(file);
      const found = await studio.ask(server.recall, [file.name, address]);
      if (mine !== reading) return;
      if (found.error) return complain(found.error);
      given = { name: file.name, address };
      answer = found;
      show();
    } catch (error) {
      console.warn("studio: a picture could not be read", error);
      if (mine === reading) complain("The studio does not answer; give the picture again.");
    } finally {
      if (mine === reading) find("choose").removeAttribute("aria-busy");
    }
  }

  const WORDS = { exact: "exact", approximated: "approximated", missing: "missing" };
  function line({ subject, value, verdict, why }) {
    const mark = make("span", { className: "mark", textContent: WORDS[verdict] });
    mark.dataset.verdict = verdict;
    const words = make("div", {}, make("b", { textContent: value || "–", translate: false }));
    if (why) words.append(make("small", { textContent: why }));
    return make("div", { className: "line-of" }, make("span", { className: "subject", textContent: subject }), words, mark);
  }

  function show() {
    find("title").textContent = answer.name;
    find("from").textContent = answer.dialect === "Studio" ? "A picture of this studio" : `Settings in the format of ${answer.dialect}`;
    find("summary").textContent = answer.summary;
    find("picture").hidden = !answer.picture;
    if (answer.picture) find("picture").src = answer.picture;
    find("report").replaceChildren(...answer.lines.map(line));
    find("made").hidden = !answer.made.length;
    find("made").open = false;
    find("made-list").replaceChildren(...answer.made.map((text) => make("li", { textContent: text })));
    find("verify").hidden = !answer.verifiable;
    find("verify").disabled = false;
    leave();
    find("outcome").hidden = true;
    if (!find("sheet").open) find("sheet").showModal();
    find("restore").focus();
  }

  // ---- taking over ----
  const set = (settings) => Object.entries(settings).forEach(([field, value]) => studio.say("set", { field, value: structuredClone(value) }));

  function restore() {
    before = structuredClone(Object.fromEntries(Object.keys(answer.settings).map((field) => [field, values[field] ?? null])));
    set(answer.settings);
    find("sheet").close();
    tell(`The settings of ${answer.name} are in the form.`, true);
  }

  function tell(text, undoable) {
    find("told-text").textContent = text;
    find("undo").hidden = !undoable;
    find("told").hidden = false;
  }

  function undo() {
    const again = before;
    before = structuredClone(Object.fromEntries(Object.keys(again).map((field) => [field, values[field] ?? null])));
    set(again);
    const redone = undone;
    undone = !undone;
    find("undo").textContent = redone ? "Undo" : "Redo";
    tell(redone ? "The settings of the picture are in the form again." : "The form is as it was before.", true);
  }

  // ---- verifying ----
  async function verify() {
    const asked = given;
    const awaited = () => given === asked && find("sheet").open;
    find("verify").disabled = true;
    say("Waiting for its turn", "");
    try {
      const begun = await studio.ask(server.verify, [asked.name, asked.address]);
      if (!awaited()) return stop(begun.check);
      if (begun.error) return say(begun.error, "missing");
      const mine = (check = begun.check);
      for (;;) {
        const now = await studio.ask(server.verified, mine);
        if (check !== mine) return;
        if (now.error) return say(now.error, "missing");
        say(now.text, now.verdict ?? "", now.picture);
        if (now.done) return;
        await studio.sleep(300);
      }
    } catch (error) {
      console.warn("studio: a picture could not be verified", error);
      if (awaited()) say("The studio does not answer; press Verify again.", "missing");
    } finally {
      // Another picture has the button for itself.
      if (awaited()) find("verify").disabled = false;
    }
  }

  function say(text, verdict, picture) {
    find("outcome").hidden = false;
    find("outcome").dataset.verdict = verdict;
    find("outcome-text").textContent = text;
    find("again").hidden = !picture;
    if (picture) find("again").src = picture;
  }

  // A run that nobody waits for any more is not worth its time.
  function stop(id) {
    if (id) studio.ask(server.stop_check, id).catch((error) => console.warn("studio: a check could not be stopped", error));
  }

  function leave() {
    if (find("outcome").dataset.verdict === "") stop(check);
    check = null;
  }

  function closed() {
    leave();
    find("choose").focus();
  }

  // ---- dropping, pasting, choosing ----
  const files = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const elsewhere = (target) => !(target instanceof Element && target.closest(".control, [data-drops]"));
  let leaving = 0;
  document.addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    clearTimeout(leaving);
    find("here").hidden = !elsewhere(event.target);
    leaving = setTimeout(() => { find("here").hidden = true; }, 250);
  });
  document.addEventListener("drop", (event) => {
    find("here").hidden = true;
    if (!files(event) || !elsewhere(event.target)) return;
    event.preventDefault();
    if (event.dataTransfer.files[0]) read(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const file = !studio.pastesText(event) && [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    // The Control section takes pictures for its shown unit first.
    setTimeout(() => { if (file && !event.defaultPrevented) read(file); });
  });
  find("choose").addEventListener("click", () => find("file").click());
  find("file").addEventListener("change", () => { if (find("file").files[0]) read(find("file").files[0]); find("file").value = ""; });
  find("restore").addEventListener("click", () => { undone = false; find("undo").textContent = "Undo"; restore(); });
  find("undo").addEventListener("click", undo);
  find("told-close").addEventListener("click", () => { find("told").hidden = true; });
  find("verify").addEventListener("click", verify);
  find("sheet").addEventListener("close", closed);
  find("sheet").addEventListener("click", (event) => { if (event.target === find("sheet")) find("sheet").close(); });
  props.fields.forEach((field) => studio.watch(field, (value) => { values[field] = value; }));

  // ---- downloads ----
  const how = studio.recall("download", { kind: "PNG", bare: false });
  const LABELS = { PNG: "PNG", JPEG: "JPEG", WEBP: "WebP" };
  const button = () => document.querySelector('[popovertarget="download-how"]');
  function drawHow() {
    element.querySelectorAll('[name="download-format"]').forEach((radio) => { radio.checked = radio.value === how.kind; });
    find("bare").checked = how.bare;
    find("how-note").textContent = how.bare
      ? "The file carries its pixels and nothing else."
      : "The file carries its settings, for this studio and for A1111 and Civitai.";
    const label = LABELS[how.kind] + (how.bare ? ", bare" : "");
    if (button()) Object.assign(button(), { textContent: label, ariaLabel: `Downloads: ${LABELS[how.kind]}, ${how.bare ? "without" : "with"} settings` });
    studio.know("download", { ...how });
  }
  function choose(changed) {
    Object.assign(how, changed);
    studio.keep("download", how);
    drawHow();
  }
  element.querySelectorAll('[name="download-format"]').forEach((radio) => radio.addEventListener("change", () => choose({ kind: radio.value })));
  find("bare").addEventListener("input", () => choose({ bare: find("bare").checked }));
  find("how").addEventListener("beforetoggle", () => {
    const { left, top } = button().getBoundingClientRect();
    Object.assign(find("how").style, { left: `${Math.max(12, Math.min(left, innerWidth - 292))}px`, bottom: `${innerHeight - top + 6}px` });
  });

  const plain = studio.download;
  studio.download = async (name, url) => {
    complain("");
    if ((how.kind === "PNG" && !how.bare) || studio.looksOn()) return plain(name, url);
    const address = await asAddress(await (await fetch(url)).blob());
    const made = await studio.ask(server.convert, [name, address, how.kind, how.bare]).catch((error) => {
      console.warn("studio: a picture could not be converted", error);
      return { error: "The picture could not be converted; download it as PNG with its settings." };
    });
    if (made.error) return complain(made.error);
    const bytes = Uint8Array.from(atob(made.file), (letter) => letter.charCodeAt(0));
    const place = URL.createObjectURL(new Blob([bytes], { type: made.type }));
    await plain(made.name, place);
    setTimeout(() => URL.revokeObjectURL(place), 60_000);
  };
  studio.watch("busy", drawHow);
  drawHow();
};
