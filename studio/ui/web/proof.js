// How a picture follows a unit, of what `followed` knows about the picture that is shown; nothing where the unit is another one by now.
studio.followed = (followed, use) => {
  const same = (one) => ["kind", "image", "preprocessor", "settings", "weight", "start", "end", "mode", "fit"].every((name) => JSON.stringify(one[name]) === JSON.stringify(use[name]));
  return followed.find((one) => same(one.use));
};

// The proof on the result: a slider between a finished picture and the map of one of its ControlNet units.
studio.proof = ({ find, server, failed }) => {
  const maps = new Map(); // "job unit" -> promise of a data address
  let work = null;
  let unit = null; // index of the unit compared, null for none

  function map(job, index) {
    const key = `${job} ${index}`;
    if (!maps.has(key)) {
      const fetched = studio.ask(server.unit_map, [job, index]).then((answer) => {
        if (!answer) throw studio.gone("The picture is no longer kept; make it again with its seed.");
        return answer.map;
      });
      fetched.catch(() => maps.delete(key));
      maps.set(key, fetched);
      if (maps.size > 24) maps.delete(maps.keys().next().value);
    }
    return maps.get(key);
  }

  const place = () => find("proof").style.setProperty("--at", `${find("proof-slider").value}%`);

  async function compare(index) {
    unit = index;
    mark();
    find("proof").hidden = true;
    if (index === null) return;
    const wanted = work;
    const address = await map(work.job, index);
    if (work !== wanted || unit !== index) return;
    find("proof-map").src = address;
    find("proof-map").alt = `Map of the ${work.units[index].kind} unit`;
    await find("proof-map").decode();
    if (work !== wanted || unit !== index) return;
    find("proof").hidden = false;
    place();
  }

  const mark = () => [...find("units").children].forEach((button, index) => button.setAttribute("aria-pressed", index === unit));

  function button({ kind, weight, agreement }, index) {
    const made = Object.assign(document.createElement("button"), { type: "button", className: "tool", textContent: `Compare with ${kind} ${weight.toFixed(1)}` });
    if (agreement?.text) made.append(Object.assign(document.createElement("small"), { textContent: agreement.text }));
    made.title = agreement?.note ?? "";
    made.addEventListener("click", async () => {
      try {
        await compare(unit === index ? null : index);
        if (unit === index) find("proof-slider").focus();
      } catch (error) {
        if (unit !== index || made.parentElement === null) return; // another one is compared by now
        unit = null;
        mark();
        failed(error);
      }
    });
    return made;
  }

  find("proof-slider").addEventListener("input", place);

  return {
    // Offers the comparisons of the picture now shown; `index` null is a whole batch, which has no room for a slider.
    show(shown, index) {
      work = shown;
      unit = null;
      find("proof").hidden = true;
      find("units").replaceChildren(...(index === null ? [] : shown.units.map((each, i) => button({ ...each, agreement: each.agreements[index] }, i))));
      studio.know("followed", index === null ? [] : shown.units.map(({ use, agreements }) => ({ use, ...agreements[index] })));
      mark();
    },
    hide() {
      // A preview comes many times a second, and whoever hears of it draws anew.
      if (!work) return;
      work = unit = null;
      studio.know("followed", []);
      find("proof").hidden = true;
    },
  };
};
