// What of the page as it stands now falls short: text and graphics by contrast (WCAG 1.4.3, 1.4.11), controls by size (2.5.8).
() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const colour = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((part, i) => part * a + below[i] * (1 - a)).concat(1);
  const behind = (node) => {
    const layers = [];
    for (let each = node; each; each = each.parentElement) layers.unshift(colour(getComputedStyle(each).backgroundColor));
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const fade = (node) => (node ? Number(getComputedStyle(node).opacity) * fade(node.parentElement) : 1);
  const light = (parts) => {
    const [r, g, b] = parts.slice(0, 3).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [less, more] = [light(one), light(other)].sort((a, b) => a - b);
    return (more + 0.05) / (less + 0.05);
  };
  const shows = (node) => node.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !node.closest("[inert], :disabled, [aria-disabled=true]");
  // Whatever lies over a picture has no one background.
  const free = (node) => !node.closest(".final, .preview, .tile, .pose-place, .paper, canvas");
  const drawn = (node, property) => {
    const below = behind(node);
    const ink = colour(getComputedStyle(node)[property]);
    return ratio(over([...ink.slice(0, 3), ink[3] * fade(node)], below), below);
  };
  const name = (node) => node.dataset?.part || node.id || node.getAttribute("aria-label") || node.className || node.tagName;
  const faults = [];

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || node.closest("option, script, style, svg, .spoken") || !shows(node) || !free(node)) continue;
    const { fontSize, fontWeight } = getComputedStyle(node);
    const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && fontWeight >= 700);
    const found = drawn(node, "color");
    if (found < (large ? 3 : 4.5)) faults.push(`text ${found.toFixed(2)}: ${text.data.trim().slice(0, 40)} (${name(node)})`);
  }
  for (const icon of document.querySelectorAll("button svg, .pill svg")) {
    if (!shows(icon) || !free(icon) || icon.closest(".pose-library")) continue;
    const found = drawn(icon, "color");
    if (found < 3) faults.push(`icon ${found.toFixed(2)}: ${name(icon.parentElement)}`);
  }
  for (const box of document.querySelectorAll("input[type=checkbox], input[type=radio]")) {
    if (!shows(box) || !free(box) || !box.getBoundingClientRect().width) continue;
    const around = behind(box.parentElement);
    const found = Math.max(...["borderTopColor", "backgroundColor"].map((part) => ratio(over(colour(getComputedStyle(box)[part]), around), around)));
    if (found < 3) faults.push(`box ${found.toFixed(2)}: ${name(box)}`);
  }
  for (const [what, property] of [["--accent", "slider, focus ring"], ["--edge", "box border"]]) {
    for (const ground of ["--panel", "--bg", "--raised"]) {
      const style = getComputedStyle(document.documentElement);
      const found = ratio(colour(style.getPropertyValue(what).trim()), colour(style.getPropertyValue(ground).trim()));
      if (found < 3) faults.push(`${property} ${found.toFixed(2)}: ${what} on ${ground}`);
    }
  }
  for (const node of document.querySelectorAll("button, select, input, textarea, summary, a[href], [role=button], [role=tab]")) {
    if (!shows(node) || node.closest("svg")) continue;
    // A label is part of its control's target; a link inside a sentence is as high as its line.
    const boxes = [node, node.closest("label")].filter(Boolean).map((each) => each.getBoundingClientRect());
    const [wide, high] = ["width", "height"].map((side) => Math.max(...boxes.map((box) => box[side])));
    if (!wide || node.closest("p.drop-line, .drop p")) continue;
    if (wide < 23.9 || high < 23.9) faults.push(`target ${Math.round(wide)} x ${Math.round(high)}: ${name(node)}`);
  }
  return [...new Set(faults)];
}
