// The header: which model, where it runs, how its loading stands, the place in the queue, dark or light.
studio.header = ({ element, props, server }) => {
  const find = (part) => element.querySelector(`[data-part="${part}"]`);
  const select = find("input");
  let wanted = studio.draft.model ?? null;
  let models = [];
  let asking = false;

  // A model that is gone cannot be asked for; the first one, which is the default, takes its place.
  const chosen = () => models.find((card) => card.name === wanted) ?? models[0] ?? null;

  function tell() {
    select.value = chosen()?.name ?? "";
    studio.know("model", chosen()?.name ?? null);
    if (chosen()) studio.know("card", chosen());
  }

  function choose(name) {
    wanted = name;
    studio.keepDraft("model", name);
    tell();
  }

  function draw(status) {
    const before = JSON.stringify(models);
    models = status.models;
    if (JSON.stringify(models) !== before || !select.options.length) {
      select.replaceChildren(...models.map((card) => new Option(card.name, card.name)));
      if (!models.length) select.append(new Option("no model", ""));
      tell();
    }
    select.disabled = models.length < 2;
    find("problems-button").hidden = !status.problems.length;
    find("problems-button").textContent = `${status.problems.length} ${status.problems.length === 1 ? "folder" : "folders"} cannot be used`;
    find("problems").replaceChildren(...status.problems.map((sentence) => Object.assign(document.createElement("p"), { textContent: sentence })));
    find("device").textContent = status.device;
    find("device").hidden = !status.device;
    element.querySelector("header").dataset.model = status.state;
    find("loading").hidden = status.state !== "loading";
    find("loading-text").textContent = status.loading;
    find("loading-bar").style.width = `${100 * status.fraction}%`;
    find("failed").hidden = status.state !== "failed";
    find("failed").textContent = status.state === "failed" ? status.loading : "";
  }

  // Asks again only while something is loading; afterwards when the page is looked at again or the picker opened.
  async function ask() {
    if (asking) return;
    asking = true;
    for (;;) {
      await studio.seen();
      try {
        const status = await studio.ask(server.status, null);
        draw(status);
        if (status.state !== "loading") break;
      } catch (error) {
        console.warn("studio: the header could not be refreshed", error);
      }
      await studio.sleep(700);
    }
    asking = false;
  }

  find("problems").addEventListener("beforetoggle", () => {
    const { left, bottom } = find("problems-button").getBoundingClientRect();
    const wide = Math.min(560, innerWidth - 24);
    Object.assign(find("problems").style, { left: `${Math.max(12, Math.min(left, innerWidth - wide - 12))}px`, top: `${bottom + 6}px` });
  });
  find("undo").addEventListener("click", studio.timeline.undo);
  find("redo").addEventListener("click", studio.timeline.redo);
  studio.watch("timeline", ({ back, forward }) => { find("undo").disabled = !back; find("redo").disabled = !forward; });
  studio.timeline.add("model");
  const language = find("language");
  language.value = studio.words.language();
  language.addEventListener("input", () => studio.words.choose(language.value));
  const theme = find("theme");
  const nameTheme = () => theme.setAttribute("aria-label", studio.theme() === "dark" ? "Switch to light" : "Switch to dark");
  theme.addEventListener("click", () => { studio.flipTheme(); nameTheme(); });
  nameTheme();

  studio.on("collect", () => { props.value = chosen()?.name ?? null; });
  select.addEventListener("input", () => choose(select.value));
  select.addEventListener("focus", ask);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  studio.on("set", ({ field, value }) => { if (field === "model") choose(value); });
  studio.watch("place", (text) => { find("queue").textContent = text; find("queue").hidden = !text; });
  studio.on("over", ask);
  ask();
};
