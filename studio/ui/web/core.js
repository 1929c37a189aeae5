// What the page's widgets share: messages between them, the draft, who this visitor is, the theme, the keys.
// Nothing here knows a field or a job.
const studio = (() => {
  const bus = new EventTarget();

  function recall(key, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(key)) ?? otherwise;
    } catch (error) {
      console.warn(`studio: ${key} could not be read`, error);
      return otherwise;
    }
  }

  function keep(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch (error) {
      console.warn(`studio: ${key} could not be kept`, error);
    }
  }

  function newVisitor() {
    const bytes = crypto.getRandomValues(new Uint8Array(18));
    const id = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
    keep("studio-visitor", id);
    return id;
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
    // What the server is being told right now; Generate waits for it, so that it never takes an older drawing.
    pending: new Set(),
    settle(promise) {
      self.pending.add(promise);
      promise.catch(() => {}).finally(() => self.pending.delete(promise));
      return promise;
    },
    async settled() {
      while (self.pending.size) await Promise.allSettled([...self.pending]);
    },
    newId: () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    // Colours a slider's track up to its thumb.
    slide: (range) => range.style.setProperty("--part", `${(100 * (range.value - range.min)) / (range.max - range.min)}%`),
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
    visitor: recall("studio-visitor", null) ?? newVisitor(),
    draft: recall("studio-draft", {}),
    recall: (name, otherwise) => recall(`studio-${name}`, otherwise),
    keep: (name, value) => keep(`studio-${name}`, value),
    forget: (name) => localStorage.removeItem(`studio-${name}`),
    keepDraft(field, value) {
      self.draft[field] = value;
      keep("studio-draft", self.draft);
    },
    theme: () => document.documentElement.dataset.theme,
    flipTheme() {
      const theme = self.theme() === "dark" ? "light" : "dark";
      keep("studio-theme", theme);
      dress(theme);
      return theme;
    },
    // Waits until somebody can see the page, so that a hidden tab asks for nothing.
    async seen() {
      while (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
    },
  };

  // What appears below the picture must not push the picture out of a phone's view.
  document.documentElement.style.overflowAnchor = "none";
  dress(recall("studio-theme", null) ?? preferred());
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.repeat) return;
    if (event.key === "Enter" && !document.querySelector("dialog[open]") && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      document.getElementById("generate")?.click();
    } else if (event.key === "Escape" && !document.querySelector(":popover-open, dialog[open]")) {
      self.say("stop");
    }
  });
  return self;
})();
