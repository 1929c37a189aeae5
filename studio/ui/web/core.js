// What the page's widgets share: messages between them, the draft, who this visitor is, the theme, the keys.
// Nothing here knows a field or a job.
const studio = (() => {
  const bus = new EventTarget();

  // What of the form is kept: one whole, by name. A tab holds its own copy, so that what another tab writes is never mixed in.
  const OF_DRAFT = /^(draft|preset|control(-[0-9a-f]+)?)$/;
  const draft = new Map(Object.keys(localStorage).filter((key) => key.startsWith("studio-") && OF_DRAFT.test(key.slice(7))).map((key) => [key.slice(7), localStorage[key]]));
  let foreign = false; // whether another tab wrote since this one did

  function read(text, name, otherwise) {
    try {
      return JSON.parse(text) ?? otherwise;
    } catch (error) {
      console.warn(`studio: ${name} could not be read`, error);
      return otherwise;
    }
  }
  const recall = (name, otherwise) => read((OF_DRAFT.test(name) ? draft.get(name) : localStorage[`studio-${name}`]) ?? null, name, otherwise);

  function write(name, text) {
    try {
      localStorage.setItem(`studio-${name}`, text);
    } catch (error) {
      console.warn(`studio: ${name} could not be kept`, error);
    }
  }

  // The last tab to write wins, with all that it holds.
  function writeDraft(changed) {
    const gone = Object.keys(localStorage).filter((key) => key.startsWith("studio-") && OF_DRAFT.test(key.slice(7)) && !draft.has(key.slice(7)));
    if (foreign) gone.forEach((key) => localStorage.removeItem(key));
    for (const name of foreign ? [...draft.keys()] : changed) write(name, draft.get(name));
    foreign = false;
  }

  function keep(name, value) {
    const text = JSON.stringify(value);
    if (!OF_DRAFT.test(name)) return write(name, text);
    if (draft.get(name) === text) return undefined;
    draft.set(name, text);
    writeDraft([name]);
    return self.say("draft", name);
  }

  function forget(name) {
    draft.delete(name);
    localStorage.removeItem(`studio-${name}`);
  }

  // Which browser this is: a cookie, too, because a studio at another port finds no other storage of this page.
  function knownVisitor() {
    const cookie = document.cookie.split("; ").find((part) => part.startsWith("studio-visitor="))?.slice(15);
    const found = recall("visitor", null) ?? (/^[A-Za-z0-9_-]{16,64}$/.test(cookie ?? "") ? cookie : null) ?? newVisitor();
    if (!recall("visitor", null)) keep("visitor", found);
    document.cookie = `studio-visitor=${found}; path=/; max-age=31536000; samesite=strict`;
    return found;
  }
  function newVisitor() {
    const bytes = crypto.getRandomValues(new Uint8Array(18));
    return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
  }

  const preferred = () => (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");

  function dress(theme) {
    document.documentElement.dataset.theme = theme;
    document.documentElement.style.colorScheme = theme;
  }

  const known = new Map();

  const self = {
    // What holds until it changes, by name: a field's value, the chosen model's card, the last seed, the place in the queue.
    // `know` tells it, `watch` hears it at once and again whenever it changes, whoever of the two came first.
    know(name, value) {
      known.set(name, value);
      self.say(`known ${name}`, value);
    },
    watch(name, hear) {
      self.on(`known ${name}`, hear);
      if (known.has(name)) hear(known.get(name));
    },
    // What happens once: set, collect, stop, over.
    on: (name, hear) => bus.addEventListener(name, (event) => hear(event.detail)),
    say: (name, detail) => bus.dispatchEvent(new CustomEvent(name, { detail })),
    // Calls a server function. Gradio answers nothing at all when the server could not be reached.
    async ask(call, data) {
      const answer = await call(data);
      if (answer === undefined) throw new Error("no answer");
      return answer;
    },
    // What the server is being told right now; whoever takes the form waits for it, so that nobody takes an older drawing.
    pending: new Set(),
    settle(promise) {
      self.pending.add(promise);
      promise.catch((error) => console.error("studio: the server could not be told", error)).finally(() => self.pending.delete(promise));
      return promise;
    },
    async settled() {
      while (self.pending.size) await Promise.allSettled([...self.pending]);
    },
    // The same for what a person sees: a stroke that was begun belongs to it.
    async complete() {
      self.say("finish");
      await self.settled();
    },
    newId: () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    // Colours a slider's track up to its thumb.
    slide: (range) => range.style.setProperty("--part", `${(100 * (range.value - range.min)) / (range.max - range.min)}%`),
    // Lets nothing begin anew while it goes on: a second press would undo what the first one did.
    once(work) {
      let busy = false;
      return async (...given) => {
        if (busy) return;
        busy = true;
        try { await work(...given); } finally { busy = false; }
      };
    },
    // Waits until nothing more came for a while.
    debounce(work, wait) {
      let timer = 0;
      return (...given) => { clearTimeout(timer); timer = setTimeout(() => work(...given), wait); };
    },
    // Runs work once the page has nothing more urgent to do.
    idle: (work) => (window.requestIdleCallback ?? ((later) => setTimeout(later, 200)))(work, { timeout: 2000 }),
    // An error whose message is a sentence for a person.
    Told: class extends Error {},
    sleep: (milliseconds) => new Promise((done) => setTimeout(done, milliseconds)),
    words: studioWords(window.gradio_config?.i18n_translations ?? { en: {} }),
    visitor: "",
    draft: recall("draft", {}),
    recall,
    keep,
    forget,
    keepDraft(field, value) {
      self.draft[field] = value;
      keep("draft", self.draft);
    },
    // All of the draft as it stands in this tab, and whether there was any when the page began.
    wholeDraft: () => Object.fromEntries([...draft].map(([name, text]) => [name, read(text, name, null)])),
    hadDraft: draft.size > 0,
    // Whether a person did anything yet: what the page sets while it starts is nobody's wish.
    touched: false,
    theme: () => document.documentElement.dataset.theme,
    flipTheme() {
      const theme = self.theme() === "dark" ? "light" : "dark";
      keep("theme", theme);
      dress(theme);
      return theme;
    },
    // Whether a paste puts text into a box: cells of a spreadsheet come as text and as a picture of it.
    pastesText: ({ target, clipboardData }) => Boolean(clipboardData?.types.includes("text/plain") && target.closest?.("input, textarea, [contenteditable]")),
    // Whether a key belongs to the choosing of Chinese or Japanese characters; Safari says so of the last one by its number alone.
    composes: (event) => event.isComposing || event.keyCode === 229,
    // Whether whoever sits here may look on only: then nothing on the page makes, changes or keeps anything.
    looksOn: () => document.documentElement.dataset.role === "viewer",
    // Whether it is a guest who may make pictures, but has no weights fetched.
    makesAsGuest: () => document.documentElement.dataset.role === "maker",
    // Waits until somebody can see the page, so that a hidden tab asks for nothing.
    async seen() {
      while (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
    },
  };

  // What appears below the picture must not push the picture out of a phone's view.
  document.documentElement.style.overflowAnchor = "none";
  dress(recall("theme", null) ?? preferred());
  self.visitor = knownVisitor();
  for (const kind of ["input", "click", "keydown", "drop", "paste"]) {
    addEventListener(kind, () => { self.touched = true; self.say("touched"); }, { capture: true });
  }
  addEventListener("storage", ({ key, newValue, oldValue }) => {
    if (key === null || !key.startsWith("studio-") || !OF_DRAFT.test(key.slice(7)) || newValue === oldValue) return;
    foreign = true;
    self.say("other tab");
  });
  // Escape in a search field empties it, which is the browser's doing and all that was meant.
  const clears = (field) => field.type === "search" && field.value !== "";
  document.addEventListener("keydown", (event) => {
    if (self.composes(event) || event.repeat) return;
    if (event.key === "Enter" && !document.querySelector("dialog[open]") && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      document.getElementById("generate")?.click();
    } else if (event.key === "Escape" && !document.querySelector(":popover-open, dialog[open]") && !clears(event.target)) {
      self.say("stop");
    }
  });
  return self;
})();
