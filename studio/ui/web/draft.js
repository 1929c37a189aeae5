// Keeps the draft on the server, too: for a studio that was started anew at another port, or a browser that forgot its storage.
studio.draftPanel = ({ element, server }) => {
  const find = (part) => element.querySelector(`[data-part="${part}"]`);
  const tab = studio.newId();
  let known = studio.recall("synced", { version: 0 }).version; // number of the newest draft that this browser has seen
  let saving = Promise.resolve();
  let ready = false;
  let overtaken = false; // another tab wrote after this one; its draft is the one to keep
  let theirs = null; // that draft where the server has it and this browser has not
  let changed = false; // by a person, since the page was loaded

  function say(text, take) {
    find("text").textContent = text;
    find("take").hidden = !take;
    find("note").hidden = !text;
  }
  const other = (text = "Another tab changed the settings. What you set here replaces that.") => {
    if (studio.looksOn()) return;
    overtaken = true;
    say(text, true);
  };

  const noted = (version, dirty) => { known = version; studio.keep("synced", { version, dirty }); };

  async function save() {
    if (!ready || overtaken || studio.looksOn()) return;
    try {
      const text = JSON.stringify(studio.wholeDraft());
      const answer = await studio.ask(server.draft_save, [studio.visitor, tab, known, text]);
      if (answer.error) return say(answer.error, false);
      // What was changed meanwhile is still to be saved.
      noted(answer.version, JSON.stringify(studio.wholeDraft()) !== text);
      if (answer.other) say("Another tab had changed the settings; what is set here has replaced that.", false);
    } catch (error) {
      console.warn("studio: the draft could not be kept on the server", error);
    }
  }
  const soon = studio.debounce(() => { saving = saving.then(save); }, 900);

  // What this browser holds counts, unless it holds nothing, or all of it was saved and something newer came since. What a person set
  // while this was being asked counts always.
  async function start() {
    const { dirty = true } = studio.recall("synced", {});
    const kept = await studio.ask(server.draft_load, studio.visitor);
    if (kept.error) return say(kept.error, false);
    const newer = kept.version > known;
    if (newer && changed && !studio.hadDraft) {
      theirs = kept;
      other("There are settings of the last time. What you set here replaces them.");
    } else if (kept.version && newer && !changed && (!studio.hadDraft || !dirty)) {
      studio.timeline.restore(kept.content);
      noted(kept.version, false);
    } else if (newer && studio.hadDraft) {
      theirs = kept;
      other();
    }
    known = Math.max(known, kept.version);
    ready = true;
    if (changed || (dirty && studio.hadDraft)) soon();
    return undefined;
  }

  studio.on("draft", () => {
    if (!studio.touched) return;
    changed = true;
    overtaken = false;
    noted(known, true);
    soon();
  });
  studio.on("other tab", () => { theirs = null; other(); });
  find("take").addEventListener("click", () => {
    if (!theirs) return location.reload();
    studio.timeline.restore(theirs.content);
    noted(theirs.version, false);
    overtaken = false;
    say("", false);
    return undefined;
  });
  find("close").addEventListener("click", () => say("", false));
  studio.idle(() => start().catch((error) => {
    console.warn("studio: the draft could not be asked for", error);
    ready = true;
  }));
};
