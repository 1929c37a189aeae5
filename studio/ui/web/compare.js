// Two pictures of the history over each other with a slider between them, and the list of settings in which they differ.
studio.compare = ({ find, one, other, told }) => {
  const [left, right] = told.entries;
  const slider = find("compare-slider");
  const place = () => find("compare-pictures").style.setProperty("--at", `${slider.value}%`);
  for (const [part, id, row] of [["compare-left", one, left], ["compare-right", other, right]]) {
    find(part).src = `kept/${id}.png`;
    find(part).alt = `${part.slice(8)}: ${row.prompt}, seed ${row.seed}`;
  }
  find("compare-pictures").style.setProperty("--aspect", left.width / left.height);
  find("compare-rows").replaceChildren(...told.differences.map((cells) => {
    const row = document.createElement("tr");
    cells.forEach((text, index) => row.append(Object.assign(document.createElement(index ? "td" : "th"), { textContent: text, translate: !index })));
    return row;
  }));
  find("compare-note").textContent = told.note || (told.differences.length ? "" : "All settings are the same.");
  slider.value = 50;
  place();
  slider.oninput = place;
  find("compare-close").onclick = () => find("compare-dialog").close();
  find("compare-dialog").showModal();
  slider.focus();
};
