// The pose editor: skeletons on a black canvas, dragged by mouse, pen and touch or moved by keys. A unit's own data is OpenPose's JSON.
studio.controlEditors.pose = ({ element, server, changed }) => {
  const find = (part) => element.querySelector(`[data-part="${part}"]`);
  const [JOINTS, LIMBS, COLOURS, DIMMED, HALF_WIDTH, MOST, LONGEST] = JSON.parse(find("pose").dataset.skeleton);
  const { BODY, unpack, known, seen, anybody, box, turned, gesture, nearest, make } = studio.poses;
  const MOUSE = 13, FINGER = 24; // how far from a joint it is still taken, in pixels of the screen
  const canvas = find("canvas");
  const figure = studio.poses.painter({ LIMBS, COLOURS, DIMMED });
  const pack = (who = people) => studio.poses.pack(who, frame);
  const fitted = (pose) => studio.poses.fitted(pose, frame);
  const allowed = (parts) => studio.poses.allowed(parts, frame);
  const capital = (text) => text[0].toUpperCase() + text.slice(1);

  let frame = { width: 512, height: 512 };
  let people = []; // each is four parts (body, hands, face), each a list of points [x, y, visible], in pixels of the frame
  let person = 0;
  let joint = null; // the chosen joint of the chosen person
  let turn = 0; // goes up whenever another unit is shown, so that late answers are dropped
  let shown = ""; // id of the unit that is shown
  const histories = new Map(); // a unit and what it holds -> {undo, redo}, so that a tab switch loses no step
  const within = (id, own) => `${id} ${JSON.stringify(own)}`;
  let history = { undo: [], redo: [] };
  let last = { what: "", at: 0 };

  // ---- changes and their undoing ----
  const copy = () => structuredClone(people);
  function commit(before, what = "") {
    // A key that is held down is one step.
    const again = what && what === last.what && Date.now() - last.at < 700;
    last = { what, at: Date.now() };
    if (!again) {
      history.undo.push(pack(before));
      history.undo.splice(0, history.undo.length - 100);
    }
    history.redo = [];
    tell();
  }
  function tell() {
    const own = people.length ? pack() : null;
    histories.set(within(shown, own), history);
    if (histories.size > 40) histories.delete(histories.keys().next().value);
    draw();
    changed(own);
  }
  function back(from, to) {
    if (!from.length) return;
    to.push(pack());
    people = fitted(from.pop());
    person = Math.max(0, Math.min(person, people.length - 1));
    last = { what: "", at: 0 };
    tell();
  }
  const undo = () => back(history.undo, history.redo);
  const redo = () => back(history.redo, history.undo);
  function edit(change, what) {
    const before = copy();
    if (change() !== false) commit(before, what);
  }
  const transform = (how, what) => edit(() => {
    const b = people[person] && box(people[person]);
    if (!b) return false;
    const next = turned(people[person], { around: [(b.left + b.right) / 2, (b.top + b.bottom) / 2], ...how });
    if (!allowed(next)) return false;
    people[person] = next;
    return true;
  }, what);
  const moveJoint = (parts, index, x, y) => studio.poses.moveJoint(parts, index, [x, y], frame);
  function hideJoint() {
    if (joint === null || !people[person]) return;
    edit(() => {
      const points = people[person][BODY];
      if (!known(points[joint])) {
        const near = LIMBS.filter((limb) => limb.includes(joint)).flat().find((index) => index !== joint && known(points[index]));
        const [x, y] = near === undefined ? [frame.width / 2, frame.height / 2] : points[near];
        moveJoint(people[person], joint, x + 0.04 * frame.width, y + 0.04 * frame.height);
      }
      points[joint][2] = !points[joint][2];
    });
  }

  // ---- drawing ----
  const unit = () => frame.width / (canvas.clientWidth || 350); // picture pixels in one pixel of the screen
  const label = (index) => {
    const [x, y, visible] = people[person][BODY][index];
    return `${capital(JOINTS[index])} of person ${person + 1}, ${Math.round(x)} across, ${Math.round(y)} down${visible ? "" : ", hidden"}`;
  };

  // Everything is drawn anew; whatever had the keyboard gets it back.
  function draw() {
    const focused = canvas.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const px = unit(), wide = HALF_WIDTH * Math.max(1, Math.min(frame.width, frame.height) / 512);
    canvas.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    // As wide as its height allows, so that places in it are those of the picture.
    Object.assign(canvas.style, { aspectRatio: `${frame.width} / ${frame.height}`, maxWidth: `calc(62vh * ${frame.width / frame.height})` });
    canvas.replaceChildren();
    people.forEach((parts, index) => {
      const stop = index === person ? {} : { tabindex: 0, role: "button", "aria-label": `Person ${index + 1}`, "data-key": `person-${index}` };
      const group = make("g", { class: "person", "data-person": index, ...stop }, canvas);
      LIMBS.forEach((limb) => {
        const [a, b] = limb.map((end) => parts[BODY][end]);
        if (a[2] && b[2]) make("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], class: "grip", "stroke-width": 26 * px }, group);
      });
      figure(parts, group, wide);
    });
    if (people[person]) chosenPerson(people[person], px);
    find("empty").hidden = people.length > 0;
    for (const tool of element.querySelectorAll("[data-tool]")) tool.disabled = !usable[tool.dataset.tool]();
    find("json").disabled = find("png").disabled = !anybody(people);
    const about = joint === null ? "drag a joint, or the whole person by a limb" : label(joint).split(" of person")[0] + `, ${label(joint).split(", ").slice(1).join(", ")}`;
    find("said").textContent = people.length ? `Person ${person + 1} of ${people.length}: ${about}` : "";
    if (focused) canvas.querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
  }

  function chosenPerson(parts, px) {
    const b = box(parts);
    if (b) {
      const pad = 14 * px;
      make("rect", { x: b.left - pad, y: b.top - pad, width: b.right - b.left + 2 * pad, height: b.bottom - b.top + 2 * pad, class: "frame" }, canvas);
      const within = (x, y) => [Math.min(Math.max(x, 12 * px), frame.width - 12 * px), Math.min(Math.max(y, 12 * px), frame.height - 12 * px)];
      handle("turn", `Turn person ${person + 1}`, within((b.left + b.right) / 2, b.top - pad - 14 * px), px);
      handle("size", `Size of person ${person + 1}`, within(b.right + pad, b.bottom + pad), px);
    }
    parts[BODY].forEach((point, index) => {
      const [x, y, visible] = point;
      if (!known(point)) return;
      if (!visible) make("circle", { cx: x, cy: y, r: 5 * px, class: "gone", "stroke-width": 1.5 * px }, canvas);
      make("circle", { cx: x, cy: y, r: 7 * px, class: "ring", "stroke-width": 2 * px, "data-on": index === joint }, canvas);
      make("circle", { cx: x, cy: y, r: MOUSE * px, class: "joint", tabindex: 0, role: "button", "aria-label": label(index), "data-joint": index, "data-key": `joint-${index}` }, canvas);
    });
  }
  function handle(name, title, [x, y], px) {
    make("circle", { cx: x, cy: y, r: 6 * px, class: "knob", "stroke-width": 2 * px }, canvas);
    make("circle", { cx: x, cy: y, r: MOUSE * px, class: "handle", tabindex: 0, role: "button", "aria-label": title, "data-handle": name, "data-key": name }, canvas);
  }

  // ---- mouse, pen and touch ----
  const fingers = new Map(); // pointer id -> place
  let drag = null; // {kind, start, before, moved}
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * frame.width, ((event.clientY - box.top) / box.height) * frame.height];
  };
  function grab(event) {
    const at = place(event), px = unit();
    const name = event.target.dataset?.handle;
    const found = name ? null : nearest(people, person, at, (event.pointerType === "mouse" ? MOUSE : FINGER) * px);
    if (name) return { kind: name };
    if (found) {
      [person, joint] = [found.who, found.index];
      const point = people[person][BODY][joint];
      return { kind: "joint", off: [point[0] - at[0], point[1] - at[1]] };
    }
    const group = event.target.closest?.("[data-person]");
    if (!group) return null;
    [person, joint] = [Number(group.dataset.person), null];
    return { kind: "person" };
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    if (!fingers.size) {
      const begun = grab(event);
      if (!begun) return;
      drag = { ...begun, start: place(event), before: copy(), moved: false };
    } else if (fingers.size === 1 && drag) {
      people = structuredClone(drag.before);
      drag = { kind: "pinch", before: drag.before, moved: false };
    } else return;
    event.preventDefault();
    fingers.set(event.pointerId, place(event));
    if (drag.kind === "pinch") drag.hold = [...fingers.values()];
    canvas.setPointerCapture(event.pointerId);
    draw();
    if (drag.kind === "joint") canvas.querySelector(`[data-joint="${joint}"]`)?.focus({ preventScroll: true });
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag || !fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, place(event));
    drag.moved = pull(place(event)) || drag.moved;
    draw();
  });
  function pull(at) {
    const parts = structuredClone(drag.before[person]);
    if (drag.kind === "joint") {
      moveJoint(parts, joint, at[0] + drag.off[0], at[1] + drag.off[1]);
      people[person] = parts;
      return true;
    }
    const next = turned(parts, gesture(drag, parts, at, [...fingers.values()]));
    if (!allowed(next)) return false;
    people[person] = next;
    return true;
  }
  function end() {
    fingers.clear();
    const done = drag;
    drag = null;
    if (done?.moved) commit(done.before);
  }
  const drop = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    if (!fingers.size) return end();
    // What two fingers did stays; the one that is left moves the person, until another joins it.
    if (drag.moved) commit(drag.before);
    drag = { kind: "person", start: [...fingers.values()][0], before: copy(), moved: false };
    return undefined;
  };
  // Where a finger took hold of something, the page must not scroll instead.
  canvas.addEventListener("touchstart", (event) => { if (drag) event.preventDefault(); }, { passive: false });
  canvas.addEventListener("pointerup", drop);
  canvas.addEventListener("pointercancel", drop);

  // ---- keys ----
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("focusin", ({ target }) => {
    const index = target.dataset.joint === undefined ? null : Number(target.dataset.joint);
    if (index === joint || drag) return;
    joint = index;
    draw();
  });
  canvas.addEventListener("keydown", (event) => {
    const { key, target, shiftKey } = event;
    const arrow = event.ctrlKey || event.metaKey || event.altKey ? null : ARROWS[key];
    if (arrow) {
      const [dx, dy] = arrow.map((one) => one * (shiftKey ? 10 : 1));
      if (target.dataset.joint !== undefined) edit(() => {
        const [x, y] = people[person][BODY][joint];
        moveJoint(people[person], joint, x + dx, y + dy);
      }, `${key} ${joint}`);
      if (target.dataset.handle === "turn") transform({ angle: (Math.PI / 180) * (dx || dy) }, "turn");
      if (target.dataset.handle === "size") transform({ scale: 1 + 0.01 * (dx || -dy) }, "size");
    } else if ((key === "Enter" || key === " ") && target.dataset.person !== undefined) {
      [person, joint] = [Number(target.dataset.person), null];
      draw();
      canvas.querySelector(".joint")?.focus({ preventScroll: true });
    } else if ((key === "Delete" || key === "Backspace") && target.dataset.joint !== undefined) hideJoint();
    else return;
    event.preventDefault();
  });
  element.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.target.matches("textarea, input")) return;
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) undo();
    else if (key === "y" || (key === "z" && event.shiftKey)) redo();
    else return;
    event.preventDefault();
  });

  // ---- tools ----
  const some = () => people.length > 0;
  const usable = {
    add: () => people.length < MOST, remove: some, mirror: some, smaller: some, larger: some, left: some, right: some,
    hide: () => some() && joint !== null, undo: () => history.undo.length > 0, redo: () => history.redo.length > 0,
  };
  const tools = {
    async add() {
      const now = turn, [first] = await library();
      if (now !== turn || !first) return;
      edit(() => {
        const [parts] = fitted(first.pose);
        // Each new person stands a little further to the side.
        const side = (people.length % 2 ? 1 : -1) * Math.ceil(people.length / 2) * 0.18 * frame.width;
        const beside = turned(parts, { by: [side, 0] });
        people.push(allowed(beside) ? beside : parts);
        [person, joint] = [people.length - 1, null];
      });
    },
    remove: () => edit(() => { people.splice(person, 1); [person, joint] = [Math.max(0, person - 1), null]; }),
    async mirror() {
      const now = turn, before = copy(), whole = JSON.stringify(pack()), who = person;
      const visible = people.slice(0, who).filter((parts) => seen(parts).length).length;
      if (!seen(people[who]).length) return;
      const pose = await asked(server.pose_mirror, [whole, visible]);
      // Whoever went on editing meanwhile keeps that.
      if (!pose || now !== turn || JSON.stringify(pack()) !== whole) return;
      people[who] = unpack(pose)[visible];
      commit(before);
    },
    smaller: () => transform({ scale: 1 / 1.1 }, "smaller"),
    larger: () => transform({ scale: 1.1 }, "larger"),
    left: () => transform({ angle: -Math.PI / 36 }, "left"),
    right: () => transform({ angle: Math.PI / 36 }, "right"),
    hide: hideJoint, undo, redo,
  };
  element.querySelectorAll("[data-tool]").forEach((button) => button.addEventListener("click", () => studio.settle(Promise.resolve(tools[button.dataset.tool]()))));

  // ---- what the server does ----
  function complain(sentence) {
    find("problem").textContent = sentence;
    find("problem").hidden = !sentence;
  }
  // Returns the answer's pose (or other named part), or null after having said why there is none.
  async function asked(call, data, part = "pose") {
    const now = turn;
    // Another unit that is shown by then has no part in it.
    const tell = (sentence) => { if (now === turn) complain(sentence); };
    tell("");
    try {
      const answer = await studio.ask(call, data);
      tell(answer.error);
      return answer[part] ?? null;
    } catch (error) {
      console.warn("studio: the pose editor got no answer", error);
      tell("The studio does not answer; try again.");
      return null;
    }
  }
  function take(pose) {
    edit(() => { people = fitted(pose); [person, joint] = [0, null]; });
  }
  const { library, showLibrary } = studio.poseImport({ element, find, server, longest: LONGEST, turn: () => turn, asked, complain, take, figure, draw });

  const save = (name, url) => Object.assign(document.createElement("a"), { href: url, download: name }).click();
  find("json").addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(pack(), null, 1)], { type: "application/json" }));
    save("pose.json", url);
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });
  find("png").addEventListener("click", async () => {
    const png = await asked(server.pose_png, [JSON.stringify(pack()), [frame.width, frame.height]], "png");
    if (png) save("pose.png", png);
  });
  new ResizeObserver(() => { if (canvas.clientWidth && !drag) draw(); }).observe(canvas);

  return {
    show(own, size, id) {
      frame = size;
      shown = id;
      turn += 1;
      people = own ? fitted(own) : [];
      [person, joint, last] = [0, null, { what: "", at: 0 }];
      history = histories.get(within(id, own)) ?? { undo: [], redo: [] };
      complain("");
      draw();
      if (!people.length) showLibrary(true);
    },
    hide() {
      end();
      turn += 1;
    },
    finish: end,
    async take(asked, own, id) {
      const { pose, error } = await studio.ask(server.pose_people, asked);
      if (error) return { error };
      // What was drawn before comes back by undo.
      histories.set(within(id, pose), { undo: own ? [own] : [], redo: [] });
      return { own: pose };
    },
    async render(own, size) {
      if (!anybody(unpack(own))) return null;
      const answer = await studio.ask(server.pose_map, [JSON.stringify(own), [size.width, size.height]]);
      return answer;
    },
  };
};
