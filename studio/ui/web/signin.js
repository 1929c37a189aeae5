// The sign-in page. The secret stands behind # in the link, which browsers send to nobody; it is taken from the address at once.
(() => {
  const find = (part) => document.querySelector(`[data-part="${part}"]`);
  const form = document.querySelector("form");
  const pattern = /#((own|join)_[\w-]+)$/;
  let secret = "";

  function dress() {
    let theme = null;
    try { theme = JSON.parse(localStorage.getItem("studio-theme")); } catch { /* the system's choice will do */ }
    document.documentElement.dataset.theme = theme ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
  }

  function complain(message) {
    find("error").textContent = message;
    find("error").hidden = !message;
    find("ask").hidden = false;
    find("wait").hidden = true;
    form.querySelector("button").disabled = false;
  }

  async function enter() {
    form.querySelector("button").disabled = true;
    try {
      const answer = await fetch("/studio/enter", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ secret, name: form.elements.name.value }),
      });
      if (answer.ok) return location.replace("/");
      const told = await answer.json().catch(() => ({}));
      // Of all else, such as too many tries or no room on the disk, the link knows nothing: it can be used again.
      if ([403, 422].includes(answer.status)) ask();
      complain(told.error ?? "The studio refused this link; ask for a new one.");
    } catch {
      complain("The studio does not answer; try again in a moment.");
    }
  }

  function ask() {
    secret = "";
    find("title").textContent = document.body.dataset.again ? "Your invitation has ended" : "You need an invitation";
    find("link-field").hidden = false;
    find("name-field").hidden = true;
  }

  function welcome() {
    find("title").textContent = "You are invited";
    find("text").textContent = "Say who you are, and you can see what is going on here.";
    find("link-field").hidden = true;
    find("name-field").hidden = false;
    form.elements.name.focus();
  }

  function take(link) {
    const found = pattern.exec(link);
    if (!found) return false;
    secret = found[1];
    if (found[2] === "join") welcome();
    return true;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    complain("");
    if (secret) return enter();
    if (!take(form.elements.link.value.trim())) return complain("That is no invitation link; it ends in #join_ and a long word.");
    form.elements.link.value = "";
    if (secret.startsWith("own_")) enter();
  });

  function start() {
    const { hash } = location;
    if (hash) history.replaceState(null, "", location.pathname);
    if (take(hash) && secret.startsWith("own_")) {
      find("ask").hidden = true;
      find("wait").hidden = false;
      enter();
    } else if (!secret) {
      ask();
    }
  }

  dress();
  addEventListener("hashchange", start);
  start();
})();
