// The stage: pulls how the visitor's jobs stand, newest preview only, and shows their pictures.
studio.stage = ({ element, props, server, watch }) => {
  const find = (part) => element.querySelector(`[data-part="${part}"]`);
  const root = find("stage");
  const waiting = []; // ids of this visitor's jobs that are not over, the shown one first
  // What is shown is a work: {job, prompt, columns, width, height, pictures: [{id, seed, thumb}], units}; `job` is null when it comes from
  // the history, and `id` is empty when the history keeps nothing.
  const files = new Map(); // index -> promise of {name, url} of the chosen work's pictures
  let chosen = null; // {work, index}; index null shows the whole batch
  let live = null; // the running job's newest view with a preview
  let pinned = false; // somebody looks at a finished picture while a job runs
  let following = false;
  class Lost extends Error {}
  const proof = studio.proof({ find, server, failed: (error) => unreachable(error) });
  let spoken = ""; // what screen readers were told last
  let answered; // number of the newest answer to Generate that was dealt with

  function box(width, height, columns, count) {
    find("picture").style.setProperty("--aspect", (width * columns) / (height * Math.ceil(count / columns)));
  }

  function complain(message, hint) {
    find("error").hidden = !message;
    find("error-text").textContent = [message, hint].filter(Boolean).join(" ");
  }

  async function fetched(work, index) {
    const { id, seed } = work.pictures[index];
    if (!work.job) return { name: `studio-${seed}.png`, url: `kept/${id}.png` };
    const answer = await studio.ask(server.picture, [work.job, index]);
    if (!answer) throw new Lost("This picture is no longer here; open it in the history, or make it again with its seed.");
    const bytes = Uint8Array.from(atob(answer.png), (letter) => letter.charCodeAt(0));
    return { name: answer.name, url: URL.createObjectURL(new Blob([bytes], { type: "image/png" })) };
  }

  function file(work, index) {
    if (work !== chosen?.work) return fetched(work, index);
    if (!files.has(index)) files.set(index, fetched(work, index));
    files.get(index).catch(() => files.delete(index));
    return files.get(index);
  }

  function choose(work, index) {
    if (work !== chosen?.work) {
      files.forEach((kept) => kept.then(({ url }) => { if (url.startsWith("blob:")) URL.revokeObjectURL(url); }, () => {}));
      files.clear();
    }
    chosen = work && { work, index };
    return chosen;
  }

  const shownIndexes = ({ work, index }) => (index === null ? work.pictures.map((_, i) => i) : [index]);

  // Everything is decoded before it is put in place, so the preview gives way without a gap.
  async function show(work, index) {
    const wanted = choose(work, index);
    const indexes = shownIndexes(wanted);
    const loaded = await Promise.all(indexes.map(async (i) => {
      const image = new Image();
      const { url } = await file(work, i);
      image.src = url;
      image.alt = `${work.prompt || "Picture without a prompt"}, seed ${work.pictures[i].seed}`;
      await image.decode().catch(() => { throw new Lost("The picture's file is gone from the history's folder."); });
      if (indexes.length > 1) image.addEventListener("click", () => look(work, i));
      return image;
    }));
    if (chosen !== wanted) return;
    const columns = index === null ? work.columns : 1;
    box(work.width, work.height, columns, indexes.length);
    find("final").style.setProperty("--columns", columns);
    find("final").replaceChildren(...loaded);
    find("final").hidden = false;
    find("preview").hidden = true;
    find("empty").hidden = true;
    find("badge").hidden = true;
    find("tools").inert = false;
    if (root.dataset.phase === "empty") root.dataset.phase = "kept";
    find("download").textContent = indexes.length > 1 ? `Download all ${indexes.length}` : "Download";
    const first = work.pictures[indexes[0]];
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
      preview(live);
    });
    return button;
  }

  function look(work, index) {
    pinned = waiting.length > 0;
    show(work, index).catch(unreachable);
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

  function preview(view) {
    const first = !live;
    live = view;
    if (pinned) return;
    if (chosen || first) {
      choose(null);
      strip();
    }
    box(view.width, view.height, view.columns, view.count);
    find("preview").src = view.preview;
    find("preview").alt = `Preview of: ${view.prompt}`;
    find("preview").hidden = false;
    find("final").hidden = true;
    proof.hide();
    find("empty").hidden = true;
    find("tools").inert = true;
    find("badge").textContent = view.badge;
    find("badge").hidden = false;
  }

  async function draw(view) {
    const more = waiting.length - 1;
    root.dataset.phase = view.phase;
    find("left").textContent = view.left;
    find("right").textContent = [view.right, more > 0 ? `${more} more of yours waiting` : ""].filter(Boolean).join(" · ");
    find("line").inert = !view.left;
    find("notice").textContent = view.notice;
    find("notice").hidden = !view.notice;
    find("bar").style.width = `${100 * view.fraction}%`;
    find("track").setAttribute("aria-valuenow", Math.round(100 * view.fraction));
    studio.know("place", view.place);
    if (view.preview) preview(view);
    if (view.phase === "stopped" && !find("preview").hidden) find("badge").textContent = view.badge;
    if (view.seed !== null) studio.know("last seed", view.seed);
    if (spoken !== view.spoken) find("spoken").textContent = spoken = view.spoken;
    if (view.error) complain(view.error, view.hint);
    if (view.over) {
      live = null;
      pinned = false;
      strip();
    }
    if (view.phase === "done") {
      studio.say("kept");
      const work = workOf(view);
      await show(work, work.pictures.length > 1 ? null : 0);
    }
  }

  const tellBusy = () => studio.know("busy", waiting.length > 0);

  const unreachable = (error) => {
    console.warn("studio: no answer", error);
    complain(error instanceof Lost ? error.message : "The studio does not answer; trying again.", "");
  };

  function gone() {
    root.dataset.phase = "failed";
    find("left").textContent = "lost";
    find("right").textContent = "";
    complain("This run is gone, because the studio was started anew; press Generate to make it again.", "");
  }

  // Tails one job until it is over. Only the newest preview is fetched, and only when the tab can be seen.
  async function tail(job) {
    let version = -1, seen = -1, lost = false;
    for (;;) {
      await studio.seen();
      try {
        const view = await studio.ask(server.poll, [job, version, seen]);
        if (lost) complain("", "");
        lost = false;
        if (view === null) return gone();
        version = view.version;
        seen = view.seen;
        await draw(view);
        if (view.over) return;
        await studio.sleep(40);
      } catch (error) {
        lost = true;
        unreachable(error);
        await studio.sleep(1000);
      }
    }
  }

  async function follow() {
    tellBusy();
    if (following) return;
    following = true;
    while (waiting.length) {
      await tail(waiting[0]);
      waiting.shift();
      tellBusy();
    }
    following = false;
    studio.know("place", "");
    studio.say("over");
  }

  // After a reload: what runs is followed again; else what ended last comes back, or what was looked at here before the studio was restarted.
  async function restore() {
    const jobs = await studio.ask(server.mine, studio.visitor);
    jobs.filter(({ job, over }) => !over && !waiting.includes(job)).forEach(({ job }) => waiting.push(job));
    const last = jobs.findLast(({ over }) => over);
    const view = last && await studio.ask(server.poll, [last.job, -1, -1]);
    const before = studio.recall("shown", null);
    if (view && view.job !== chosen?.work.job) await draw(view);
    else if (!view && before?.id && !chosen) await show({ job: null, columns: 1, units: [], pictures: [before], ...before }, 0).catch(() => studio.forget("shown"));
    if (!view?.error) complain("", "");
    follow();
  }

  async function start() {
    try {
      await restore();
    } catch (error) {
      unreachable(error);
      await studio.sleep(1000);
      await start();
    }
  }

  async function download() {
    for (const index of shownIndexes(chosen)) {
      const { name, url } = await file(chosen.work, index);
      await studio.download(name, url);
    }
  }

  function stop() {
    if (waiting.length) studio.ask(server.stop_job, waiting[0]).catch(unreachable);
  }

  studio.on("stop", stop);
  // Who looks on has no jobs of their own to follow; the owner may have begun one.
  studio.on("look again", () => restore().catch(unreachable));
  watch("value", () => {
    if (props.value.number === answered) return;
    answered = props.value.number;
    complain(props.value.error, props.value.hint);
    if (props.value.error) find("error").scrollIntoView({ block: "nearest" });
    if (props.value.job && !waiting.includes(props.value.job)) {
      waiting.push(props.value.job);
      find("picture").scrollIntoView({ block: "nearest" });
      follow();
    }
  });
  find("error-close").addEventListener("click", () => complain("", ""));
  find("download").addEventListener("click", () => download().catch(unreachable));
  find("reuse").addEventListener("click", () => studio.say("set", { field: "seed", value: chosen.work.pictures[chosen.index ?? 0].seed }));
  const shownId = () => chosen.work.pictures[chosen.index ?? 0].id;
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
    const { work, index } = chosen;
    studio.say("use as control", { kind: target.dataset.kind, from: work.job ? [work.job, index ?? 0] : [shownId()] });
  });
  // Without a ControlNet for any kind a picture cannot steer the next one; the button says why.
  studio.watch("unusable kinds", (reasons) => {
    const items = [...find("use-as").querySelectorAll("[data-kind]")];
    items.forEach((item) => Object.assign(item, { disabled: Boolean(reasons[item.dataset.kind]), title: reasons[item.dataset.kind] ?? "" }));
    const off = items.every((item) => item.disabled);
    Object.assign(find("use-as-button"), { disabled: off, title: off ? items[0].title : "" });
  });
  studio.on("collect", () => { props.value = { visitor: studio.visitor, number: answered }; });
  tellBusy();
  start();
};
