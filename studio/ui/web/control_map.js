// The map of the shown unit: asked for whenever it changes, newest wins; weights are fetched only once somebody agreed to it.
studio.controlMap = (desk) => {
  const { find, server } = desk;
  const maps = new Map(); // what was asked -> data address
  let asked = ""; // the newest map that was asked for
  let ticket = "";
  let standing = null; // id of the unit whose map stands there
  const agreed = new Set(); // preprocessors whose weights somebody wants

  function giveUp() {
    if (ticket) studio.ask(server.cancel, ticket).catch((error) => console.warn("studio: a map could not be cancelled", error));
    ticket = "";
  }

  // Whether a preprocessor's weights would have to be fetched that nobody agreed to. A guest is told by the server what to do.
  const unagreed = (row) => Boolean(row) && row.state !== "ready" && !agreed.has(row.name) && !studio.makesAsGuest();

  // Weight, span and mode do not change a map.
  function useOfMap(unit) {
    const { kind, image, preprocessor, settings, fit } = desk.useOf(unit);
    return { kind, image, preprocessor, settings, fit };
  }

  // Nothing is shown, and what was asked for is no longer wanted.
  function none() {
    asked = "";
    giveUp();
    find("map").hidden = true;
  }

  // Shows the map of a unit; `row` is its preprocessor.
  async function show(unit, row) {
    const frame = desk.frame();
    const use = useOfMap(unit);
    const { kind, image, preprocessor } = use;
    find("map").hidden = !image || !frame;
    if (!image || !frame) return none();
    const size = [frame.width, frame.height];
    const key = JSON.stringify([use, size, agreed.has(preprocessor)]);
    if (key === asked) return;
    asked = key;
    giveUp();
    find("map-agree").hidden = true;
    const away = row && row.state !== "ready"; // its weights are not here
    if (unagreed(row)) {
      put(unit, "", size);
      find("map-text").textContent = `Needs weights first: ${row.says}.`;
      find("map-agree").hidden = false;
      return;
    }
    if (maps.has(key)) return put(unit, maps.get(key), size);
    const mineTicket = (ticket = studio.newId());
    // A unit's former map stays until the new one is there; another unit's does not.
    if (standing !== unit.id) put(unit, "", size);
    find("map-text").textContent = "is being made";
    watchProgress(mineTicket);
    try {
      const answer = await studio.ask(server.annotate, [use, size, mineTicket]);
      if (ticket !== mineTicket) return;
      if (!answer.error) {
        maps.set(key, answer.map);
        if (maps.size > 24) maps.delete(maps.keys().next().value);
      }
      put(unit, answer.map ?? "", size);
      desk.complain(unit, answer.error);
      if (!away) return;
      if (answer.error) agreed.delete(row.name);
      await desk.weightsCame(kind);
    } catch (error) {
      console.warn("studio: a map could not be had", error);
      if (ticket !== mineTicket) return;
      asked = "";
      put(unit, "", size);
      desk.complain(unit, "The studio does not answer; change something to try again.");
    } finally {
      if (ticket === mineTicket) ticket = "";
    }
  }

  function put(unit, address, [width, height]) {
    standing = unit.id;
    find("map-picture").src = address || "data:,";
    find("map-picture").hidden = !address;
    find("map-edit").hidden = !address || !desk.canEdit(unit);
    find("map-text").textContent = address ? `${width} × ${height}` : "";
    find("map-track").hidden = true;
    find("map-cancel").hidden = true;
    if (address) desk.complain(unit, "");
  }

  async function watchProgress(mineTicket) {
    for (;;) {
      await studio.sleep(600);
      if (ticket !== mineTicket) return;
      const how = await studio.ask(server.progress, mineTicket).catch((error) => console.warn("studio: the progress is not known", error));
      if (ticket !== mineTicket || !how) continue;
      find("map-text").textContent = how.message || "is being made";
      find("map-bar").style.width = `${100 * how.fraction}%`;
      find("map-track").hidden = !how.message;
      find("map-cancel").hidden = !how.message;
    }
  }

  // How the picture that is shown follows the unit, if it was made with the unit as it stands.
  function follow(use, followed) {
    const { text, note } = studio.followed(followed, use) ?? {};
    find("map-follows").textContent = text || note || "";
    find("map-follows").title = text ? note : "";
    find("map-follows").hidden = !text && !note;
  }

  find("map-edit").addEventListener("click", () => {
    const unit = desk.shown(), { width, height } = desk.frame();
    studio.settle(desk.editMap(unit, [useOfMap(unit), [width, height]]).catch((error) => {
      console.warn("studio: a map could not be taken over", error);
      desk.complain(unit, "The studio does not answer; try again.");
    }));
  });
  find("map-cancel").addEventListener("click", () => {
    agreed.delete(desk.useOf(desk.shown()).preprocessor);
    desk.draw();
  });
  find("map-agree").addEventListener("click", () => {
    agreed.add(desk.useOf(desk.shown()).preprocessor);
    desk.draw();
  });
  return { show, none, follow, unagreed };
};
