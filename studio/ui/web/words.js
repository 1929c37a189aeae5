// The page in the reader's language. English texts are the keys of the tables; numbers and names stand in {braces} there.
// Whatever widgets write into the page is exchanged before it is painted, so that no widget knows of languages. A text
// without an entry stays English as a whole. What a person wrote or named is left alone: input, and translate="no".
const studioWords = (tables) => {
  const KEY = "studio-language";
  const ATTRIBUTES = ["title", "aria-label", "placeholder", "alt", "label", "aria-valuetext"];
  const LEFT = '[translate="no"], script, style, textarea, input, [contenteditable], code';
  const LONGEST = 1500; // texts that are longer are somebody's own
  const languages = Object.keys(tables);
  const books = {}; // language -> what `book` makes of its table
  let language = "en";

  // ---- from an English text to another language ----
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const SENTENCES = /(?<=[.!?]) (?=[A-Z"])/;
  const HOLE = /\{(=?)(\w+)\}/g;
  const NUMBER = "([-+−]?[\\d][\\d.,]*)";

  // {n}, a single letter, holds a number; {=kind} holds a text that is in the table itself; any other holds whatever stands there.
  function pattern(key, into) {
    const holes = [...key.matchAll(HOLE)].map(([, nested, name]) => ({ nested: Boolean(nested), name }));
    const parts = key.split(/\{=?\w+\}/);
    const source = parts.map(escaped).reduce((text, part, i) => text + (holes[i - 1].name.length === 1 ? NUMBER : "(.+?)") + part);
    return { holes, into, first: parts[0], last: parts.at(-1), weight: parts.join("").length, rule: new RegExp(`^${source}$`, "s") };
  }

  function book(name) {
    books[name] ??= (() => {
      const rows = Object.entries(tables[name] ?? {});
      const patterns = rows.filter(([key]) => key.includes("{")).map(([key, into]) => pattern(key, into));
      patterns.sort((a, b) => b.weight - a.weight);
      return { exact: new Map(rows), patterns, seen: new Map(), dense: name === "ja" || name.startsWith("zh"), stop: { ja: "。", "zh-CN": "；" }[name] ?? "; " };
    })();
    return books[name];
  }

  function fill({ holes, into, first, last, rule }, text, pages) {
    if (!text.startsWith(first) || !text.endsWith(last)) return null;
    const found = rule.exec(text);
    if (!found) return null;
    const values = {};
    for (const [i, { nested, name }] of holes.entries()) {
      const value = nested ? entry(found[i + 1], pages) : found[i + 1];
      // What a sentence has inside is no further sentence, which would stay English.
      if (last.endsWith(".") && SENTENCES.test(value)) return null;
      if (value === null) return null;
      values[name] = value;
    }
    return into.replace(HOLE, (_, __, name) => values[name]);
  }

  function entry(text, pages) {
    if (pages.exact.has(text)) return pages.exact.get(text);
    for (const each of pages.patterns) {
      const found = fill(each, text, pages);
      if (found !== null) return found;
    }
    return null;
  }

  const together = (parts, glue, pages) => {
    if (parts.length < 2) return null;
    const found = parts.map((part) => whole(part, pages));
    return found.every((part) => part !== null) ? found.join(glue) : null;
  };
  const upper = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);
  // Facts side by side stand on their own, so that names among them stay.
  const facts = (text, glue, pages) => {
    const parts = text.split(glue);
    if (parts.length < 2) return null;
    const found = parts.map((part) => whole(part, pages));
    return found.some((part) => part !== null) ? found.map((part, i) => part ?? parts[i]).join(glue) : null;
  };
  // A description in small letters that is shown as a sentence.
  const sentence = (text, pages) => {
    if (!text.endsWith(".")) return null;
    const inner = text.slice(0, 1).toLowerCase() + text.slice(1, -1);
    const found = entry(inner, pages) ?? together(inner.split("; "), pages.stop, pages);
    return found === null ? null : upper(found) + (pages.dense ? "。" : ".");
  };

  // Returns a text in the language of a book, or null when part of it has no entry there.
  function whole(text, pages) {
    return entry(text, pages)
      ?? facts(text, "\n", pages)
      ?? facts(text, " · ", pages)
      ?? together(text.split(SENTENCES), pages.dense ? "" : " ", pages)
      ?? sentence(text, pages)
      ?? together(text.split("; "), pages.stop, pages)
      ?? together(text.split(/: (.*)/s).slice(0, 2), pages.dense ? "：" : ": ", pages);
  }

  function translate(text, into = language) {
    // A line break and the indentation after it come from a template.
    const inner = text.trim().replace(/\n\s+/g, " ");
    if (into === "en" || !inner || inner.length > LONGEST) return null;
    const pages = book(into);
    if (!pages.seen.has(inner)) {
      // Numbers make texts without end; what was seen is only kept to be quick.
      if (pages.seen.size > 4000) pages.seen.clear();
      pages.seen.set(inner, whole(inner, pages));
    }
    const found = pages.seen.get(inner);
    return found === null || inner === text ? found : text.replace(text.trim(), () => found);
  }

  // ---- the page ----
  const texts = new WeakMap(); // text node -> {from, to}
  const attributes = new WeakMap(); // element -> Map of attribute -> {from, to}

  // Returns what is to be shown for what stands there now; `known` is what was done about it before.
  function exchange(now, known) {
    const from = known && known.to === now ? known.from : now;
    return { from, to: translate(from) ?? from };
  }

  function writeText(node) {
    if (!node.data.trim() || node.parentElement?.closest(LEFT)) return;
    const made = exchange(node.data, texts.get(node));
    if (made.from === made.to) texts.delete(node);
    else texts.set(node, made);
    if (node.data !== made.to) node.data = made.to;
  }

  function writeAttribute(element, name) {
    const now = element.getAttribute(name);
    if (!now || element.closest('[translate="no"]')) return;
    const known = attributes.get(element) ?? new Map();
    const made = exchange(now, known.get(name));
    if (made.from === made.to) known.delete(name);
    else known.set(name, made);
    attributes.set(element, known);
    if (now !== made.to) element.setAttribute(name, made.to);
  }

  function write(node) {
    if (node.nodeType === Node.TEXT_NODE) return writeText(node);
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let each = node; each; each = walker.nextNode()) {
      if (each.nodeType === Node.TEXT_NODE) writeText(each);
      else for (const name of ATTRIBUTES) if (each.hasAttribute(name)) writeAttribute(each, name);
    }
  }

  const observer = new MutationObserver((records) => {
    for (const { type, target, attributeName, addedNodes } of records) {
      if (type === "childList") addedNodes.forEach(write);
      else if (type === "characterData") writeText(target);
      else writeAttribute(target, attributeName);
    }
  });

  function speak(wanted) {
    const before = language;
    language = wanted;
    document.documentElement.lang = wanted;
    if (before !== wanted) write(document.documentElement);
    observer.disconnect();
    // An English page has nothing to be exchanged and pays nothing.
    if (wanted !== "en") observer.observe(document, { subtree: true, childList: true, characterData: true, attributeFilter: ATTRIBUTES });
  }

  // "zh-TW" is served by the only Chinese there is, "de-AT" by German.
  const main = (tag) => tag.toLowerCase().split("-")[0];
  const known = (tag) => languages.find((each) => main(each) === main(tag));

  function chosen() {
    try {
      return known(JSON.parse(localStorage.getItem(KEY)) ?? "");
    } catch {
      return undefined; // no storage, or not ours: as the browser prefers
    }
  }

  speak(chosen() ?? navigator.languages.map(known).find(Boolean) ?? "en");
  return {
    languages,
    translate,
    language: () => language,
    choose(wanted) {
      try {
        localStorage.setItem(KEY, JSON.stringify(wanted));
      } catch (error) {
        console.warn("studio: the language could not be kept", error);
      }
      speak(wanted);
    },
  };
};
