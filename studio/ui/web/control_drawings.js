// What is drawn for a unit on its way to the server, which makes a picture of it; and the other way round, a picture's map as a drawing.
//   begin(unit, what)   returns whether the answer still counts, see `control.js`
//   frame()             the size of the result, null until it is known
//   got(unit, image)    the unit's drawing is kept as the picture `image`, null for none
//   drawn(unit)         the unit's drawing was replaced
studio.controlDrawings = ({ editors, server, begin, frame, complain, got, drawn }) => {
  const unsent = new Set(), onWay = new Set(); // ids of units whose drawing is not kept as it is; of those that are being sent
  const own = (unit) => studio.recall(`control-${unit.id}`, null);

  async function send(unit) {
    const newest = begin(unit, "editor");
    const drawing = own(unit) === null || !frame() ? null : await editors[unit.kind].render(own(unit), frame());
    const answer = typeof drawing === "string" ? await studio.ask(server.keep, [drawing, unit.kind]) : drawing ?? { image: null };
    if (!newest()) return;
    complain(unit, answer.error ?? "");
    if (answer.error) return;
    unsent.delete(unit.id);
    got(unit, answer.image);
  }

  const timers = new Map(); // unit id -> {timer, done}
  function sendSoon(unit, wait) {
    unsent.add(unit.id);
    clearTimeout(timers.get(unit.id)?.timer);
    const entry = timers.get(unit.id) ?? {};
    if (!entry.done) studio.settle(new Promise((done) => { entry.done = done; }));
    entry.timer = setTimeout(async () => {
      timers.delete(unit.id);
      onWay.add(unit.id);
      try {
        await send(unit);
      } catch (error) {
        console.warn("studio: a drawing could not be kept", error);
        complain(unit, "The studio does not answer; draw on to try again.");
      }
      onWay.delete(unit.id);
      entry.done();
    }, wait);
    timers.set(unit.id, entry);
  }

  // The map of a brought picture becomes the unit's own drawing, to be gone on with.
  async function editMap(unit, asked) {
    const newest = begin(unit, "edit"), still = begin(unit, "by");
    const before = own(unit);
    const answer = await editors[unit.kind].take(asked, before, unit.id);
    if (!newest() || JSON.stringify(before) !== JSON.stringify(own(unit))) return;
    complain(unit, answer.error ?? "");
    if (answer.error) return;
    studio.keep(`control-${unit.id}`, answer.own);
    if (still()) unit.by = "editor";
    sendSoon(unit, 0);
    drawn(unit);
  }

  return { sendSoon, editMap, isUnsent: (unit) => unsent.has(unit.id) && !timers.has(unit.id) && !onWay.has(unit.id) };
};
