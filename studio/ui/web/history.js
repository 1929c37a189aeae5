// The History column: more of it as one scrolls; what is done with one picture, with several, and with two.
studio.history = ({ element, props, server }) => {
  const COMMAS = /[,，、]/; // of Chinese and Japanese keyboards, too
  const find = (part) => element.querySelector(`[data-part="${part}"]`);
  const rows = new Map(); // id -> what the server said of a picture, newest first
  const picked = new Set(); // ids of the ticked ones
  let opened = null; // id of the highlighted picture: the one on the stage, or in full view
  let standing = null; // id of the picture that the stage shows or showed last
  let carded = null; // id of the picture in the card: the same, but whose tags are being typed stays there until they are
  let following = null; // key of the next page; null when there is none
  let shelf = "all";
  let comparing = null; // id of the picture for which a second one is being chosen
  let model = null; // name of the one that is chosen
  let download = { kind: "PNG", bare: false }; // how pictures are downloaded
  let turn = 0; // number of the newest listing; answers to older ones are dropped
  let changes = 0; // number of the newest change made here
  const unsaved = new Map(); // id -> tags as typed, until the server has them
  let loading = false;
  let listed = Promise.resolve(); // kept when the newest listing is over, well or not

  // ---- what is asked ----
  async function ask(call, data) {
    const answer = await studio.ask(call, data);
    if (answer.error) throw new studio.Told(answer.error);
    return answer;
  }
  const failed = (error) => {
    console.warn("studio: the history", error);
    toast(error instanceof studio.Told ? error.message : "The studio does not answer; try again.");
  };
  const safely = (work) => (...given) => Promise.resolve().then(() => work(...given)).catch(failed);

  const day = (part, more) => {
    const [year, month, date] = find(part).value.split("-").map(Number);
    // While a year is typed it is 0002, 0020, 0202.
    return year ? Math.max(0, new Date(year, month - 1, date + more).getTime() * 1000) : null;
  };
  const query = () => ({ text: find("text").value, model: find("model").value, lora: find("lora").value, since: day("since", 0), until: day("until", 1), shelf });
  const narrowed = () => Object.values(query()).some((value) => value && value !== "all");

  function load(again) {
    if (loading && !again) return listed;
    const work = list(again);
    listed = work.catch(() => {}); // whoever asked for it hears of it
    return work;
  }

  async function list(again) {
    if (again) turn += 1;
    const mine = turn;
    loading = true;
    try {
      const answer = await ask(server.history_page, [query(), again ? null : following, false]);
      if (mine !== turn) return;
      if (again) clear();
      answer.entries.forEach((row) => put(row, false));
      following = answer.following;
      drawEmpty();
    } finally {
      if (mine === turn) loading = false;
    }
    if (following !== null && nearEnd()) await load(false);
  }

  // What was made since: put before the rest, which keeps its place. A listing under way may have been read before that, and would replace it.
  async function refresh(fresh) {
    await listed;
    const mine = turn, before = changes;
    const answer = await ask(server.history_page, [query(), null, fresh]);
    if (mine !== turn) return refresh(fresh);
    if (rows.size && answer.entries.length && !answer.entries.some((row) => rows.has(row.id))) return load(true);
    answer.entries.filter((row) => !rows.has(row.id)).reverse().forEach((row) => put(row, true));
    // Another tab may have starred or tagged what is listed here; what was changed here meanwhile is newer.
    if (before === changes) answer.entries.forEach((row) => { Object.assign(rows.get(row.id), row); mark(row.id); });
    if (following === null && rows.size > props.page) following = answer.following;
    drawEmpty();
    await describe();
  }

  async function describe() {
    const told = await ask(server.history_shelves, null);
    find("held").textContent = told.held;
    find("promise").textContent = [told.size && `${told.held}, ${told.size}.`, told.promise].filter(Boolean).join(" ");
    find("notes").textContent = told.notes.join(" ");
    find("notes").hidden = !told.notes.length;
    find("empty-trash").hidden = shelf !== "deleted" || !told.deleted;
    for (const [part, name, values] of [["model", "any model", told.models], ["lora", "any LoRA", told.loras]]) {
      const before = find(part).value;
      find(part).replaceChildren(new Option(name, ""), ...values.map((value) => Object.assign(new Option(value, value), { translate: false })));
      find(part).value = values.includes(before) ? before : "";
    }
  }

  // ---- tiles ----
  const tiles = studio.historyTiles({
    list: find("list"), rows, picked, opened: () => opened, icon: find("star").querySelector("svg").outerHTML,
    acts: {
      choose: (id) => safely(choose)(id),
      full: (id) => full(id),
      star: (id) => safely(setStar)([id], !rows.get(id).starred),
      pick: (id, on) => pick(id, on),
      remove: (id) => safely(remove)(picked.size ? [...picked] : [id]),
    },
  });
  const { ids, neighbour, put, drop, mark } = tiles;

  function clear() {
    [...rows.keys()].forEach(drop);
    draw();
  }

  function drawEmpty() {
    find("empty").hidden = rows.size > 0;
    find("empty").textContent = narrowed() ? "No picture has all of that." : "Every finished picture is kept here.";
    draw();
  }

  // ---- the cards below: one picture, or several ----
  function draw() {
    const row = rows.get(carded);
    find("many").hidden = !picked.size;
    find("card").hidden = picked.size > 0 || !row;
    const back = shelf === "deleted";
    if (picked.size) {
      find("many-title").textContent = `${picked.size} selected`;
      find("many-compare").disabled = picked.size !== 2;
      find("many-compare").title = picked.size === 2 ? "" : "Select two pictures";
      find("many-star").hidden = back;
      find("many-star").textContent = [...picked].every((id) => rows.get(id).starred) ? "Unstar" : "Star";
      find("many-delete").textContent = back ? "Restore" : "Delete";
    }
    if (!row) return;
    find("card-title").textContent = `seed ${row.seed ?? "unknown"}`;
    find("card-when").textContent = new Date(row.made / 1000).toLocaleString(studio.words.language(), { dateStyle: "medium", timeStyle: "short" });
    find("card-prompt").textContent = row.prompt;
    if (document.activeElement !== find("tags")) find("tags").value = unsaved.get(carded) ?? row.tags.join(", ");
    find("star").setAttribute("aria-pressed", row.starred);
    find("star").hidden = back;
    find("star").querySelector("span").textContent = row.starred ? "Starred" : "Star";
    find("delete").textContent = back ? "Restore" : "Delete";
  }

  let undo = null;
  function toast(text, back = null) {
    undo = back;
    find("toast-text").textContent = text;
    find("toast-undo").hidden = !back;
    find("toast").hidden = !text;
  }

  function pick(id, on) {
    picked[on ? "add" : "delete"](id);
    mark(id);
    draw();
  }

  function look(id) {
    const before = opened;
    opened = id;
    if (document.activeElement !== find("tags")) carded = id;
    [before, id].forEach(mark);
    if (tiles.has(id)) tiles.reach(id);
    draw();
  }
  async function choose(id) {
    if (comparing && comparing !== id) return compare(comparing, id);
    return bring(id);
  }
  // With the other pictures of its batch, as far as they are listed here.
  function bring(id) {
    look(id);
    const run = [...rows.values()].filter((row) => row.run === rows.get(id).run).sort((a, b) => a.made - b.made);
    studio.say("show kept", run.map((row) => ({ ...row, asked: row.id === id })));
  }

  // ---- what a person does ----
  async function setStar(wanted, on) {
    await ask(server.history_change, [wanted, on ? "star" : "unstar"]);
    changes += 1;
    wanted.filter((id) => rows.has(id)).forEach((id) => { rows.get(id).starred = on; mark(id); });
    if (shelf === "starred" && !on) leave(wanted);
    else draw();
  }

  // Takes pictures off the list; the keyboard, if it was with them, goes to the next one.
  function leave(wanted) {
    const all = ids(), at = all.indexOf(wanted[0]);
    const next = [...all.slice(at + 1), ...all.slice(0, at).reverse()].find((id) => !wanted.includes(id));
    // Tiles, card and the box for many go with what is dropped.
    const held = ["list", "card", "many"].some((part) => find(part).contains(document.activeElement));
    wanted.forEach(drop);
    if (held && tiles.has(next)) tiles.focus(next);
    drawEmpty();
    tiles.reach();
  }

  async function move(wanted, change) {
    await ask(server.history_change, [wanted, change]);
    changes += 1;
    leave(wanted);
    const many = wanted.length === 1 ? "The picture is" : `${wanted.length} pictures are`;
    const other = change === "delete" ? "restore" : "delete";
    toast(`${many} ${change === "delete" ? "in the trash." : "back."}`, async () => {
      await ask(server.history_change, [wanted, other]);
      toast("");
      await load(true);
      await describe();
    });
    if (following !== null && nearEnd()) await load(false);
    await describe();
  }
  const remove = (wanted) => move(wanted, shelf === "deleted" ? "restore" : "delete");

  async function tag(id, text) {
    unsaved.set(id, text);
    const answer = await ask(server.history_tag, [id, text.split(COMMAS), rows.get(id)?.tags ?? []]);
    changes += 1;
    if (unsaved.get(id) === text) unsaved.delete(id);
    if (rows.has(id)) rows.get(id).tags = answer.tags;
    draw();
  }

  async function zip(wanted) {
    if (wanted.length === 1) return studio.download(`studio-${rows.get(wanted[0]).seed}.png`, `kept/${wanted[0]}.png`);
    const { kind, bare } = download;
    Object.assign(document.createElement("a"), { href: `kept/pictures.zip?ids=${wanted.join(",")}&as=${kind}${bare ? "&bare=1" : ""}`, download: "" }).click();
  }

  // Takes a picture's settings up again: all of them, as one step that can be undone.
  async function reuse(id) {
    const { request } = await ask(server.history_entry, id);
    if (!request) throw new studio.Told("The picture's file carries no settings that this studio can read.");
    Object.entries(request).forEach(([field, value]) => studio.say("set", { field, value }));
    // The header takes its first model where that one is gone.
    if (request.model && model !== request.model) toast(`${request.model} is not here; ${model} takes its place.`);
  }

  async function compare(one, other) {
    comparing = null;
    toast("");
    studio.compare({ find, one, other, told: await ask(server.history_compare, [one, other]) });
  }

  function full(id) {
    const show = (wanted) => {
      if (!rows.has(wanted)) return;
      look(wanted);
      find("full-picture").src = `kept/${wanted}.png`;
      find("full-picture").alt = tiles.called(rows.get(wanted));
      const { width, height } = rows.get(wanted);
      find("full-picture").style.setProperty("--aspect", width / height);
    };
    show(id);
    find("full-dialog").onkeydown = ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step) show(neighbour(opened, step));
    };
    find("full-dialog").showModal();
  }

  // ---- who is heard ----
  const nearEnd = () => find("more").offsetParent !== null && find("more").getBoundingClientRect().top < innerHeight + 900;
  new IntersectionObserver(([seen]) => { if (seen.isIntersecting && following !== null) safely(load)(false); }, { rootMargin: "900px" }).observe(find("more"));

  const soon = studio.debounce(safely(() => load(true)), 200);
  const searched = ["text", "model", "lora", "since", "until"];
  for (const part of searched) find(part).addEventListener("input", soon);
  find("search-open").addEventListener("click", () => {
    const open = find("filter").hidden;
    find("filter").hidden = !open;
    find("search-open").setAttribute("aria-expanded", open);
    if (open) { find("text").focus(); safely(describe)(); }
    // What nobody sees must not keep pictures from being seen.
    else if (narrowed()) { searched.forEach((part) => { find(part).value = ""; }); safely(turnTo)("all"); }
  });
  const shelves = [...element.querySelectorAll("[data-shelf]")];
  async function turnTo(wanted) {
    shelf = wanted;
    shelves.forEach((each) => each.setAttribute("aria-pressed", each.dataset.shelf === shelf));
    await load(true);
    await describe();
  }
  shelves.forEach((button) => button.addEventListener("click", safely(() => turnTo(button.dataset.shelf))));
  find("tags").addEventListener("change", () => safely(tag)(carded, find("tags").value));
  find("card").addEventListener("focusout", ({ relatedTarget }) => {
    // Another window took the keyboard: when this one has it again, the same tags are typed on.
    if (document.activeElement === find("tags")) return;
    if (carded === opened || find("card").contains(relatedTarget)) return;
    carded = opened;
    draw();
  });
  find("tags").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || studio.composes(event)) return;
    // Tags that could not be saved are no change, so that leaving the field would not send them again.
    if (unsaved.get(carded) === find("tags").value) safely(tag)(carded, find("tags").value);
    find("tags").blur();
  });
  find("star").addEventListener("click", safely(() => setStar([carded], !rows.get(carded).starred)));
  find("full").addEventListener("click", () => full(carded));
  find("delete").addEventListener("click", safely(() => remove([carded])));
  find("many-none").addEventListener("click", () => [...picked].forEach((id) => pick(id, false)));
  find("many-compare").addEventListener("click", safely(() => compare(...ids().filter((id) => picked.has(id)).reverse())));
  find("many-zip").addEventListener("click", safely(() => zip(ids().filter((id) => picked.has(id)))));
  find("many-star").addEventListener("click", safely(() => setStar([...picked], ![...picked].every((id) => rows.get(id).starred))));
  find("many-delete").addEventListener("click", safely(() => remove(ids().filter((id) => picked.has(id)))));
  find("empty-trash").addEventListener("click", safely(async () => {
    const { count } = await ask(server.history_empty, null);
    toast(count === 1 ? "One picture is gone for good." : `${count} pictures are gone for good.`);
    await load(true);
    await describe();
  }));
  find("toast-undo").addEventListener("click", safely(() => undo()));
  find("toast-close").addEventListener("click", () => { comparing = null; toast(""); });
  find("full-close").addEventListener("click", () => find("full-dialog").close());
  // Who leafed on goes on with that picture, on the stage, too.
  find("full-dialog").addEventListener("close", () => { if (opened !== standing && rows.has(opened)) bring(opened); });
  find("full-picture").addEventListener("click", () => find("full-dialog").close());

  studio.watch("model", (name) => { model = name; });
  studio.watch("download", (how) => { download = how; });
  studio.on("kept", safely(() => refresh(true)));
  studio.on("shown", ({ id }) => { standing = id; look(id); });
  studio.on("reuse", safely(reuse));
  studio.on("compare with", (id) => {
    comparing = id;
    toast("Now choose the other picture in the history.");
    element.scrollIntoView({ block: "nearest" });
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) safely(refresh)(false); });
  // The form and the stage come first.
  studio.idle(safely(async () => {
    await load(true);
    await describe();
  }));
};
