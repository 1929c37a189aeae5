// Guests: the owner invites, sees who is in and shows them out; a guest sees what is left of their share and signs out.
studio.guests = ({ element, server }) => {
  const find = (part) => element.querySelector(`[data-part="${part}"]`);
  const dialog = find("dialog");
  // It stands in the header later, out of reach of `find`.
  const open = find("open");
  const who = find("who");
  const AWAY = "The studio does not answer; try again.";
  const KINDS = { maker: "makes pictures", viewer: "looks on", owner: "may do everything" };
  let state = null;
  let person = null;

  const time = (seconds) => new Date(1000 * seconds).toLocaleString(studio.words.language(), { dateStyle: "medium", timeStyle: "short" });

  function complain(message) {
    find("problem").textContent = message;
    find("problem").hidden = !message;
  }

  function row(title, facts, action, act) {
    const item = document.createElement("li");
    const text = document.createElement("div");
    text.append(Object.assign(document.createElement("b"), { textContent: title, translate: title === "Somebody" }), Object.assign(document.createElement("span"), { textContent: facts }));
    const button = Object.assign(document.createElement("button"), { type: "button", className: "small-button", textContent: action });
    button.setAttribute("aria-label", `${action} ${title}`);
    button.addEventListener("click", act);
    item.append(text, button);
    return item;
  }

  function list(part, rows, otherwise) {
    find(part).replaceChildren(...(rows.length ? rows : [Object.assign(document.createElement("li"), { className: "none", textContent: otherwise })]));
  }

  function draw(shown) {
    state = shown;
    find("about").textContent = shown.address
      ? `People come in at ${shown.address}, by invitation only.`
      : "This page is for this machine only. Start the studio with --share or --host 0.0.0.0 to let people in; tokens work now already.";
    for (const part of ["invite-section", "people", "pending", "sharing-section"]) find(part).hidden = !shown.address;
    const out = (id) => () => change(server.withdraw, id);
    list("guests", shown.guests.map((each) => row(
      each.name,
      `${KINDS[each.role]} · seen ${time(each.seen)} · until ${time(each.until)}${each.role === "maker" ? ` · ${Math.round(each.spent)} of ${each.quota} this hour` : ""}`,
      "Cut off", out(each.id),
    )), "Nobody");
    list("invitations", shown.invitations.map((each) => row(
      each.name || "Somebody", `${KINDS[each.role]} · until ${time(each.until)} · ${each.uses} may still come`, "Withdraw", out(each.id),
    )), "Nobody is awaited");
    list("tokens", shown.tokens.map((each) => row(
      each.name,
      `${KINDS[each.role]} · ${each.until ? `until ${time(each.until)}` : "for ever"} · ${each.seen ? `used ${time(each.seen)}` : "not used yet"}`,
      "Revoke", out(each.id),
    )), "None");
    find("sharing").checked = shown.sharing;
    find("log").replaceChildren(...shown.log.map((entry) => {
      const { at, what, who, whom, address, why } = entry;
      const more = [whom, address && `from ${address}`, why].filter(Boolean).join(", ");
      return Object.assign(document.createElement("li"), { textContent: `${time(at)}: ${who}, ${what}${more ? ` (${more})` : ""}` });
    }));
    who.textContent = shown.guests.length ? `Guests ${shown.guests.length}` : "Guests";
  }

  async function change(call, data) {
    try {
      const answer = await studio.ask(call, data);
      complain(answer.error);
      if (!answer.error) draw(answer);
      return answer;
    } catch (error) {
      console.warn("studio: guests", error);
      complain(AWAY);
      return { error: "no answer" };
    }
  }

  function tell(text, secret) {
    find("made-text").textContent = text;
    find("secret").value = secret;
    find("made").hidden = false;
    find("made").scrollIntoView({ block: "nearest" });
    find("secret").select();
  }

  function asked(form) {
    const fields = Object.fromEntries(new FormData(form));
    for (const name of ["hours", "uses", "per_hour", "waiting"]) if (name in fields) fields[name] = fields[name] === "" ? null : Number(fields[name]);
    return fields;
  }

  find("invite").addEventListener("submit", async (event) => {
    event.preventDefault();
    const { error, secret } = await change(server.invite, asked(event.target));
    if (!error) tell("Send this link; it is not shown again.", `${state.address}/#${secret}`);
  });
  find("token").addEventListener("submit", async (event) => {
    event.preventDefault();
    const { error, secret } = await change(server.make_token, asked(event.target));
    if (!error) tell("Programs send this as Authorization: Bearer …; it is not shown again.", secret);
  });
  find("sharing").addEventListener("change", ({ target }) => change(server.share, target.checked));
  find("copy").addEventListener("click", async () => {
    find("secret").select();
    try {
      await navigator.clipboard.writeText(find("secret").value);
    } catch {
      // Without https there is no clipboard to scripts; the old way still works.
      document.execCommand("copy");
    }
    find("copy").textContent = "Copied";
    setTimeout(() => { find("copy").textContent = "Copy"; }, 1500);
  });

  let sure = false;
  find("drop").addEventListener("click", async () => {
    sure = !sure;
    find("drop").textContent = sure ? "Press again to drop everyone" : "Drop everyone";
    if (sure) return setTimeout(() => { sure = false; find("drop").textContent = "Drop everyone"; }, 4000);
    find("made").hidden = true;
    await change(server.drop_everyone, null);
  });

  function left() {
    location.reload();
  }

  find("leave").addEventListener("click", async () => {
    try {
      const answer = await fetch("/studio/leave", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
      if (answer.ok) return left();
      complain((await answer.json().catch(() => ({}))).error ?? AWAY);
    } catch (error) {
      console.warn("studio: nobody was signed out", error);
      complain(AWAY);
    }
  });

  async function opened() {
    complain("");
    find("made").hidden = true;
    if (person.role === "owner") await change(server.overview, null);
    else await introduce().catch((error) => {
      console.warn("studio: who is asking is not known", error);
      complain(AWAY);
    });
    dialog.showModal();
  }

  async function introduce() {
    person = await studio.ask(server.me, null);
    document.documentElement.dataset.role = person.role;
    studio.know("person", person);
    find("owner").hidden = person.role !== "owner";
    find("guest").hidden = person.role === "owner";
    find("leave").hidden = !person.signed;
    open.hidden = false;
    // Moved again, it would lose the keyboard.
    if (!open.closest("#field-model")) document.querySelector('#field-model [data-part="theme"]')?.before(open);
    if (person.role === "owner") return;
    // Keys press it, too.
    if (person.role === "viewer") document.getElementById("generate").disabled = true;
    Object.assign(who, { textContent: person.name, translate: false });
    find("about").textContent = `You are here as a guest who ${KINDS[person.role]}.`;
    Object.assign(element.querySelector("h2"), { textContent: person.name, translate: false });
    complain(person.error);
    find("used").textContent = person.role === "maker" && person.quota !== null ? `Of your ${person.quota} megapixel-steps an hour ${Math.round(10 * person.spent) / 10} are used.` : "";
  }

  // A secret in the address of somebody who is in already: it is taken away, and used where it opens more.
  async function tidy() {
    const secret = /^#((own|join)_[\w-]+)$/.exec(location.hash);
    if (!secret) return;
    history.replaceState(null, "", location.pathname + location.search);
    if (person.role === "owner") return;
    const answer = await fetch("/studio/enter", {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ secret: secret[1] }),
    });
    if (answer.ok && (await answer.json()).came_in) left();
  }

  async function start() {
    try {
      await introduce();
      await tidy();
    } catch (error) {
      console.warn("studio: who is asking is not known", error);
    }
  }

  // Whoever is shown out meets the sign-in page as soon as the page asks for anything, and whoever came in anew, such as in another tab,
  // a page of their own: this one would be refused for ever.
  const ask = window.fetch.bind(window);
  window.fetch = async (...given) => {
    const answer = await ask(...given);
    if (answer.status === 401 || answer.status === 409) left();
    return answer;
  };

  open.addEventListener("click", () => opened().catch((error) => console.warn("studio: guests", error)));
  find("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  addEventListener("hashchange", () => tidy().catch(() => {}));
  // A guest who only waits is asked after, too.
  setInterval(() => {
    if (!person?.signed || person.role === "owner" || document.hidden) return;
    studio.ask(server.me, null).catch(() => {});
    if (person.role === "viewer") studio.say("look again");
  }, 5000);
  start();
};
