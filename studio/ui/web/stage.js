// The stage: shows how the visitor's jobs stand and their pictures; what is done with the picture that stands there.
studio.stage = ({ element, props, server, watch }) => {
  const find = (part) => element.querySelector(`[data-part="${part}"]`);
  const root = find("stage");
  // What is shown is a work: {job, prompt, columns, width, height, pictures: [{id, seed, thumb}], units}; `job` is null when it comes from
  // the history, and `id` is empty when the history keeps nothing.
  let chosen = null; // {work, index} that is to be shown; index null is the whole batch
  let shown = null; // {work, index} whose pictures stand there, which the tools act on
  const saving = new Set(); // {work, index} of what is being written to files of the visitor's own
  let live = null; // the running job's newest view with a preview
  let pinned = false; // somebody looks at a finished picture while a job runs
  const { file, release } = studio.addresses({ server, needed: () => [chosen, shown, ...saving].map((one) => one?.work) });
  const { follow, insist, failed, count } = studio.following({ server, draw: (view) => draw(view), gone: () => gone(), complain: (message) => complain(message, "") });
  const proof = studio.proof({ find, server, failed });
  let newest = null; // the finished job that was shown last without being asked for
  let spoken = ""; // what screen readers were told last
  let answered; // number of the newest answer to Generate that was dealt with

  function box(width, height, columns, count) {
    find("picture").style.setProperty("--aspect", (width * columns) / (height * Math.ceil(count / columns)));
  }

  function complain(message, hint) {
    find("error").hidden = !message;
    find("error-text").textContent = [message, hint].filter(Boolean).join(" ");
  }

  const indexesOf = ({ work, index }) => (index === null ? work.pictures.map((_, i) => i) : [index]);

  async function decoded(work, index) {
    const image = new Image();
    const { url } = await file(work, index);
    image.src = url;
    image.alt = `${work.prompt || "Picture without a prompt"}, seed ${work.pictures[index].seed}`;
    await image.decode().catch(() => { throw new studio.Told("The picture's file is gone from the history's folder."); });
    return image;
  }

  // Everything is decoded before it is put in place, so the preview or the picture before gives way without a gap.
  async function show(work, index) {
    const wanted = (chosen = { work, index });
    try {
      const images = await Promise.all(indexesOf(wanted).map((i) => decoded(work, i)));
      if (chosen === wanted) put(images);
    } catch (error) {
      if (chosen !== wanted) return; // somebody wants another one by now
      chosen = shown;
      throw error;
    }
  }

  function put(images) {
    shown = chosen;
    const { work, index } = shown;
    const columns = index === null ? work.columns : 1;
    if (images.length > 1) images.forEach((image, i) => image.addEventListener("click", () => look(work, i)));
    box(work.width, work.height, columns, images.length);
    find("final").style.setProperty("--columns", columns);
    find("final").replaceChildren(...images);
    find("final").hidden = false;
    for (const part of ["preview", "empty", "badge"]) find(part).hidden = true;
    release();
    find("tools").inert = false;
    if (root.dataset.phase === "empty") root.dataset.phase = "kept";
    find("download").textContent = images.length > 1 ? `Download all ${images.length}` : "Download";
    const first = work.pictures[index ?? 0];
    find("reuse").textContent = `Reuse seed ${first.seed}`;
    for (const part of ["reuse-all", "compare"]) find(part).hidden = !first.id;
    proof.show(work, work.pictures.length > 1 ? index : 0);
    strip();
    studio.keep("shown", { prompt: work.prompt, width: work.width, height: work.height, id: first.id, seed: first.seed });
    studio.say("shown", { id: first.id });
  }

  function tile(work, index) {
    const button = document.createElement("button");
    const single = index !== null;
    button.type = "button";
    const what = single ? `picture with seed ${work.pictures[index].seed}` : `all ${work.pictures.length} of the batch`;
    button.setAttribute("aria-label", `Show ${what}: ${work.prompt}`);
    button.setAttribute("aria-pressed", Boolean(chosen && chosen.work === work && chosen.index === index));
    const pictures = single ? [work.pictures[index]] : work.pictures;
    button.style.setProperty("--columns", single ? 1 : work.columns);
    button.append(...pictures.map(({ thumb, id }) => Object.assign(new Image(), { src: thumb ?? `kept/${id}.jpg`, alt: "" })));
    button.addEventListener("click", () => look(work, index));
    return button;
  }

  function liveTile() {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "live" });
    button.setAttribute("aria-label", "Show the running preview");
    button.setAttribute("aria-pressed", !pinned);
    button.addEventListener("click", () => {
      pinned = false;
      preview(live).catch(failed);
    });
    return button;
  }

  function look(work, index) {
    pinned = count() > 0;
    show(work, index).catch((error) => {
      pinned = pinned && shown !== null;
      failed(error);
    });
  }

  // The way between a batch and its pictures, and back to the running one; all other pictures stand in the history.
  function strip() {
    const work = chosen?.work;
    const batch = work && work.pictures.length > 1 ? [tile(work, null), ...work.pictures.map((_, i) => tile(work, i))] : [];
    const tiles = [...(live && pinned ? [liveTile()] : []), ...batch];
    const focused = [...find("strip").children].indexOf(document.activeElement);
    find("strip").replaceChildren(...tiles);
    find("strip").inert = !tiles.length;
    find("strip").children[focused]?.focus();
  }

  const workOf = ({ job, prompt, columns, width, height, pictures, units }) => ({ job, prompt, columns, width, height, pictures, units });

  async function preview(view) {
    const first = !live;
    live = view;
    if (pinned) return first && strip();
    chosen = null;
    find("preview").src = view.preview;
    find("preview").alt = `Preview of: ${view.prompt}`;
    // The picture before stays until the first frame can be seen.
    if (find("preview").hidden) await find("preview").decode().catch((error) => console.warn("studio: a preview cannot be seen", error));
    if (pinned || live !== view) return;
    box(view.width, view.height, view.columns, view.count);
    find("preview").hidden = false;
    find("final").hidden = true;
    find("final").replaceChildren();
    const before = shown;
    shown = null;
    release();
    if (before || first) strip();
    proof.hide();
    find("empty").hidden = true;
    find("tools").inert = true;
    find("badge").textContent = view.badge;
    find("badge").hidden = false;
  }

  async function draw(view) {
    const more = count() - 1;
    // A run is done for the page once its picture stands there.
    if (view.phase !== "done") root.dataset.phase = view.phase;
    find("left").textContent = view.left;
    find("right").textContent = [view.right, more > 0 && !studio.looksOn() ? `${more} more of yours waiting` : ""].filter(Boolean).join(" · ");
    find("line").inert = !view.left;
    find("notice").textContent = view.notice;
    find("notice").hidden = !view.notice;
    find("bar").style.width = `${100 * view.fraction}%`;
    find("track").setAttribute("aria-valuenow", Math.round(100 * view.fraction));
    studio.know("place", view.place);
    if (view.preview) await preview(view);
    if (view.phase === "stopped" && !find("preview").hidden) find("badge").textContent = view.badge;
    if (view.seed !== null) studio.know("last seed", view.seed);
    if (spoken !== view.spoken) find("spoken").textContent = spoken = view.spoken;
    if (view.error || studio.looksOn()) complain(view.error, view.hint);
    if (view.over) {
      newest = view.job;
      live = null;
      pinned = false;
      strip();
    }
    if (view.phase === "done") {
      studio.say("kept");
      const work = workOf(view);
      try {
        await show(work, work.pictures.length > 1 ? null : 0);
      } catch (error) {
        if (!(error instanceof studio.Told)) throw error; // it is asked for again
        failed(error);
      }
      root.dataset.phase = view.phase;
    }
  }

  function gone() {
    live = null;
    pinned = false;
    strip();
    root.dataset.phase = "stopped";
    find("left").textContent = studio.looksOn() ? "" : "over";
    find("right").textContent = "";
    if (studio.looksOn()) return complain("The owner does not show this picture any more.", "");
    // While this tab was hidden the run may have ended well, and so many others after it that the studio has forgotten it.
    studio.say("kept");
    complain("This run ended long ago, or the studio was started anew; look in the history, or press Generate to make it again.", "");
  }

  // After a reload: what runs is followed again; else what ended last comes back, or what was looked at here before the studio was restarted.
  async function restore() {
    const jobs = await studio.ask(server.mine, studio.visitor);
    const last = jobs.findLast(({ over }) => over)?.job;
    const view = last && last !== newest && await studio.ask(server.poll, [last, -1, -1]);
    const before = studio.recall("shown", null);
    // What was begun or shown meanwhile is newer.
    const drawn = view && view.job !== newest && !count();
    if (drawn) await insist(() => draw(view));
    // A run that ended without a picture left the one before it standing.
    const bare = drawn && !shown && find("preview").hidden;
    if ((bare || !last) && before?.id && !chosen) await show({ job: null, columns: 1, units: [], pictures: [before], ...before }, 0).catch(() => studio.forget("shown"));
    follow(...jobs.filter(({ over }) => !over).map(({ job }) => job));
  }

  async function download() {
    const mine = { ...shown };
    saving.add(mine);
    try {
      for (const index of indexesOf(mine)) {
        const { name, url } = await file(mine.work, index);
        await studio.download(name, url);
      }
    } finally {
      // Some browsers fetch an address only a while after they were asked to save it.
      setTimeout(() => { saving.delete(mine); release(); }, 60_000);
    }
  }

  // Who looks on has no jobs of their own to follow; the owner may have begun one.
  studio.on("look again", () => restore().catch((error) => console.warn("studio: whether anything is shown is not known", error)));
  watch("value", () => {
    if (props.value.number === answered) return;
    answered = props.value.number;
    sessionStorage.removeItem("studio-unsent");
    complain(props.value.error, props.value.hint);
    if (props.value.error) find("error").scrollIntoView({ block: "nearest" });
    if (props.value.job) {
      find("picture").scrollIntoView({ block: "nearest" });
      follow(props.value.job);
    }
  });
  find("error-close").addEventListener("click", () => { complain("", ""); document.getElementById("generate")?.focus({ preventScroll: true }); });
  find("download").addEventListener("click", () => download().catch(failed));
  find("reuse").addEventListener("click", () => studio.say("set", { field: "seed", value: shown.work.pictures[shown.index ?? 0].seed }));
  const shownId = () => shown.work.pictures[shown.index ?? 0].id;
  find("reuse-all").addEventListener("click", () => studio.say("reuse", shownId()));
  find("compare").addEventListener("click", () => studio.say("compare with", shownId()));
  studio.on("show kept", (rows) => {
    const [row] = rows.filter((each) => each.asked);
    const columns = Math.ceil(Math.sqrt(rows.length));
    look({ job: null, columns, units: [], pictures: rows, prompt: row.prompt, width: row.width, height: row.height }, rows.indexOf(row));
    complain("", "");
    find("picture").scrollIntoView({ block: "nearest" });
  });
  find("use-as").addEventListener("beforetoggle", () => {
    const { left, top } = find("use-as-button").getBoundingClientRect();
    Object.assign(find("use-as").style, { left: `${Math.max(12, left)}px`, bottom: `${innerHeight - top + 6}px` });
  });
  find("use-as").addEventListener("click", ({ target }) => {
    if (!target.dataset.kind) return;
    find("use-as").hidePopover();
    const { work, index } = shown;
    // By its id in the history where it is kept: jobs are forgotten when many others have ended.
    studio.say("use as control", { kind: target.dataset.kind, from: shownId() ? [shownId()] : [work.job, index ?? 0] });
  });
  // Without a ControlNet for any kind a picture cannot steer the next one; the button says why.
  studio.watch("unusable kinds", (reasons) => {
    const items = [...find("use-as").querySelectorAll("[data-kind]")];
    items.forEach((item) => Object.assign(item, { disabled: Boolean(reasons[item.dataset.kind]), title: reasons[item.dataset.kind] ?? "" }));
    const off = items.every((item) => item.disabled);
    Object.assign(find("use-as-button"), { disabled: off, title: off ? items[0].title : "" });
  });
  studio.on("not generated", (sentence) => complain(sentence, ""));
  studio.on("collect", () => { props.value = { visitor: studio.visitor, number: answered }; });
  if (sessionStorage.getItem("studio-unsent") !== null) complain(studio.unsent, "");
  sessionStorage.removeItem("studio-unsent");
  insist(restore);
};
