// The tiles of the history, newest first: a thumbnail each, with a star and a tick. One of them is a stop for Tab; keys go and act from there.
//   rows, picked   what is listed, by id, and the ids of the ticked ones; both are kept here
//   opened()       id of the picture on the stage
//   icon           the star's picture
//   acts           what a tile or a key asks for, by id: choose, full, star, pick (and whether), remove
studio.historyTiles = ({ list, rows, picked, opened, icon, acts }) => {
  const tiles = new Map(); // id -> its node
  const opener = (id) => tiles.get(id)?.querySelector(".open");

  const make = (tag, attributes = {}, ...inside) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...inside);
    return node;
  };
  const called = (row) => `${row.prompt || "Picture without a prompt"}, seed ${row.seed}`;

  function tile(row) {
    const picture = make("img", { src: `kept/${row.id}.jpg`, alt: "", loading: "lazy", decoding: "async" });
    picture.addEventListener("error", () => node.toggleAttribute("data-gone", true));
    const open = make("button", { type: "button", className: "open", tabIndex: -1 }, make("span", { title: row.prompt, translate: false }, picture));
    open.setAttribute("aria-label", `Show: ${called(row)}`);
    open.addEventListener("click", () => acts.choose(row.id));
    open.addEventListener("dblclick", () => acts.full(row.id));
    const star = make("button", { type: "button", className: "star", tabIndex: -1, innerHTML: icon });
    star.setAttribute("aria-label", `Star: ${called(row)}`);
    star.addEventListener("click", () => acts.star(row.id));
    const tick = make("input", { type: "checkbox", tabIndex: -1 });
    tick.setAttribute("aria-label", `Select: ${called(row)}`);
    tick.addEventListener("input", () => acts.pick(row.id, tick.checked));
    const node = make("div", { className: "tile" }, open, star, tick);
    node.dataset.id = row.id;
    return node;
  }

  function put(row, first) {
    if (rows.has(row.id)) return;
    rows.set(row.id, row);
    tiles.set(row.id, tile(row));
    list[first ? "prepend" : "append"](tiles.get(row.id));
    mark(row.id);
    reach();
  }
  function drop(id) {
    tiles.get(id)?.remove();
    tiles.delete(id);
    rows.delete(id);
    picked.delete(id);
  }
  function mark(id) {
    const node = tiles.get(id);
    if (!node) return;
    node.toggleAttribute("data-starred", rows.get(id).starred);
    node.toggleAttribute("data-picked", picked.has(id));
    node.querySelector("input").checked = picked.has(id);
    node.querySelector(".open").setAttribute("aria-pressed", id === opened());
    node.querySelector(".star").setAttribute("aria-pressed", rows.get(id).starred);
  }

  // Makes a tile the stop for Tab; without an id, one of them if none is.
  function reach(id) {
    const before = list.querySelector('.open[tabindex="0"]');
    const stop = opener(id) ?? before ?? opener(opened()) ?? list.querySelector(".open");
    if (!stop || stop === before) return;
    if (before) before.tabIndex = -1;
    stop.tabIndex = 0;
  }
  function focus(id) {
    reach(id);
    opener(id)?.focus();
  }
  const ids = () => [...list.children].map((node) => node.dataset.id);
  function neighbour(id, step) {
    const all = ids();
    return all[all.indexOf(id) + step];
  }

  list.addEventListener("keydown", (event) => {
    const id = event.target.closest(".tile")?.dataset.id;
    if (!id || event.ctrlKey || event.metaKey || event.altKey) return;
    const across = Math.max(1, [...list.children].filter((node) => node.offsetTop === list.firstElementChild.offsetTop).length);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[event.key];
    const act = { " ": () => acts.pick(id, !picked.has(id)), s: () => acts.star(id), Delete: () => acts.remove(id), f: () => acts.full(id) }[event.key];
    if (!step && !act) return;
    event.preventDefault();
    if (act) return act();
    const next = neighbour(id, step);
    if (next) focus(next);
  });

  return { put, drop, mark, reach, focus, ids, neighbour, called, has: (id) => tiles.has(id) };
};
