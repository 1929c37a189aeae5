// The settings of the shown unit that every kind has: weight, span of steps, mode, fit and which ControlNet.
studio.controlSettings = ({ find, shown, setUse }) => {
  // Shows those of a unit; `names` are the ControlNets that it may have.
  function show(unit, names) {
    const { weight, start, end, mode, fit, model } = unit.use;
    if (document.activeElement !== find("weight")) find("weight").value = Number.isFinite(weight) ? weight.toFixed(2) : "";
    find("weight-range").value = Number.isFinite(weight) ? weight : 0;
    studio.slide(find("weight-range"));
    find("start").value = start;
    find("end").value = end;
    find("start").parentElement.style.setProperty("--from", `${100 * start}%`);
    find("start").parentElement.style.setProperty("--to", `${100 * end}%`);
    find("span-text").textContent = `${Math.round(100 * start)} to ${Math.round(100 * end)} %`;
    find("mode").value = mode;
    find("fit").value = fit;
    const offered = model && !names.includes(model) ? [...names, model] : names;
    find("model-field").hidden = offered.length < 2;
    find("model").replaceChildren(new Option("first that fits", ""), ...offered.map((name) => Object.assign(new Option(name, name), { translate: false })));
    find("model").value = model ?? "";
  }

  const number = find("weight");
  // What is no number yet is kept as a sign that the one validation refuses.
  number.addEventListener("input", () => setUse({ weight: Number.isNaN(number.valueAsNumber) ? "?" : number.valueAsNumber }));
  find("weight-range").addEventListener("input", () => setUse({ weight: Number(find("weight-range").value) }));
  // The two ends of the span never meet, because a unit must begin before it ends.
  const GAP = 0.05;
  const share = (value) => Number(value.toFixed(2));
  find("start").addEventListener("input", () => setUse({ start: share(Math.min(Number(find("start").value), shown().use.end - GAP)) }));
  find("end").addEventListener("input", () => setUse({ end: share(Math.max(Number(find("end").value), shown().use.start + GAP)) }));
  for (const name of ["mode", "fit"]) find(name).addEventListener("input", () => setUse({ [name]: find(name).value }));
  find("model").addEventListener("input", () => setUse({ model: find("model").value || null }));

  return { show };
};
