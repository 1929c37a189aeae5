// A pose as a value: OpenPose's JSON to people and back, people moved, and people drawn. Nothing here knows the editor.
studio.poses = (() => {
  const PARTS = ["pose_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "face_keypoints_2d"];
  const BODY = 0;
  const round = (number) => Math.round(number * 10) / 10;

  const unpack = (pose) => pose.people.map((one) => PARTS.map((part) => {
    const flat = one[part] ?? [];
    return Array.from({ length: flat.length / 3 }, (_, i) => [flat[3 * i], flat[3 * i + 1], flat[3 * i + 2] > 0]);
  }));
  const pack = (people, { width, height }) => ({
    canvas_width: width,
    canvas_height: height,
    people: people.map((parts) => Object.fromEntries(PARTS.map((name, i) => [name, parts[i].flatMap(([x, y, seen]) => [round(x), round(y), seen ? 1 : 0])]))),
  });
  const known = ([x, y, seen]) => seen || x !== 0 || y !== 0;
  const seen = (parts) => parts.flat().filter((point) => point[2]);
  const anybody = (who) => who.some((parts) => seen(parts).length > 0);
  const mapped = (parts, move) => parts.map((points) => points.map((point) => (known(point) ? [...move(point[0], point[1]), point[2]] : point)));
  // Brought to the size of a frame, as large as fits, in its middle.
  function fitted(pose, frame) {
    const scale = Math.min(frame.width / pose.canvas_width, frame.height / pose.canvas_height);
    const across = (frame.width - scale * pose.canvas_width) / 2, down = (frame.height - scale * pose.canvas_height) / 2;
    return unpack(pose).map((parts) => mapped(parts, (x, y) => [scale * x + across, scale * y + down]));
  }
  function box(parts) {
    const points = seen(parts);
    if (!points.length) return null;
    const [xs, ys] = [points.map((point) => point[0]), points.map((point) => point[1])];
    return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
  }
  // Turned by `angle` and made `scale` times as large around a place, then moved.
  function turned(parts, { scale = 1, angle = 0, around = [0, 0], by = [0, 0] }) {
    const [c, s] = [scale * Math.cos(angle), scale * Math.sin(angle)];
    return mapped(parts, (x, y) => {
      const [dx, dy] = [x - around[0], y - around[1]];
      return [around[0] + c * dx - s * dy + by[0], around[1] + s * dx + c * dy + by[1]];
    });
  }
  // What a drag that began at `start` (two fingers: at `hold`) and is `at` a place now (fingers: at `ends`) does to a person, for `turned`.
  function gesture({ kind, start, hold }, parts, at, ends) {
    if (kind === "person") return { by: [at[0] - start[0], at[1] - start[1]] };
    if (kind === "pinch") {
      const [[a, b], [c, d]] = [hold, ends];
      const [from, to] = [[b[0] - a[0], b[1] - a[1]], [d[0] - c[0], d[1] - c[1]]];
      return {
        around: a, by: [c[0] - a[0], c[1] - a[1]],
        scale: Math.hypot(...to) / Math.max(1, Math.hypot(...from)), angle: Math.atan2(to[1], to[0]) - Math.atan2(from[1], from[0]),
      };
    }
    const b = box(parts), around = [(b.left + b.right) / 2, (b.top + b.bottom) / 2];
    const [from, to] = [start, at].map((one) => [one[0] - around[0], one[1] - around[1]]);
    if (kind === "size") return { around, scale: Math.hypot(...to) / Math.max(1, Math.hypot(...from)) };
    return { around, angle: Math.atan2(to[1], to[0]) - Math.atan2(from[1], from[0]) };
  }
  // A person may stand partly outside of the picture, but stays within reach and large enough to be grabbed.
  function allowed(parts, frame) {
    const b = box(parts);
    if (!b) return true;
    const middle = [(b.left + b.right) / 2, (b.top + b.bottom) / 2];
    const size = Math.max(b.right - b.left, b.bottom - b.top);
    const inside = middle[0] >= 0 && middle[1] >= 0 && middle[0] <= frame.width && middle[1] <= frame.height;
    return inside && size >= 16 && b.right - b.left <= 1.8 * frame.width && b.bottom - b.top <= 1.8 * frame.height;
  }

  const FOLLOWS = { 0: 3, 4: 2, 7: 1 }; // the face goes with the nose, a hand with its wrist
  // Moves a joint of a person, inside the frame, with what follows it.
  function moveJoint(parts, index, [x, y], frame) {
    const point = parts[BODY][index];
    const next = [Math.min(Math.max(x, 0), frame.width - 1), Math.min(Math.max(y, 0), frame.height - 1)];
    const by = [next[0] - point[0], next[1] - point[1]];
    if (FOLLOWS[index]) parts[FOLLOWS[index]] = turned([parts[FOLLOWS[index]]], { by })[0];
    [point[0], point[1]] = next;
  }
  // The nearest joint within reach of a place, of the chosen person first; whose it is, and which, or null.
  function nearest(people, person, at, reach) {
    const found = people.flatMap((parts, who) => parts[BODY].map((point, index) => ({
      who, index, away: known(point) && (point[2] || who === person) ? Math.hypot(point[0] - at[0], point[1] - at[1]) - (who === person ? 0.01 : 0) : Infinity,
    })));
    return found.filter((one) => one.away <= reach).sort((a, b) => a.away - b.away)[0] ?? null;
  }

  const make = (name, attributes, parent) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    parent?.append(node);
    return node;
  };
  // Returns what draws a person into an svg element, limbs `wide` pixels to each side, in OpenPose's colours.
  function painter({ LIMBS, COLOURS, DIMMED }) {
    const colour = (index, part = 1) => `rgb(${COLOURS[index % COLOURS.length].map((one) => Math.round(one * part))})`;
    const ellipse = (parts, index) => {
      const [a, b] = LIMBS[index].map((end) => parts[BODY][end]);
      if (!a[2] || !b[2]) return null;
      const angle = (180 / Math.PI) * Math.atan2(b[1] - a[1], b[0] - a[0]);
      return { cx: 0, cy: 0, rx: Math.hypot(b[0] - a[0], b[1] - a[1]) / 2, transform: `translate(${(a[0] + b[0]) / 2} ${(a[1] + b[1]) / 2}) rotate(${angle})` };
    };
    return (parts, parent, wide) => {
      LIMBS.forEach((_, index) => {
        const shape = ellipse(parts, index);
        if (shape) make("ellipse", { ...shape, ry: wide, fill: colour(index, DIMMED), class: "limb" }, parent);
      });
      parts[BODY].forEach(([x, y, visible], index) => { if (visible) make("circle", { cx: x, cy: y, r: wide, fill: colour(index) }, parent); });
      parts.slice(1).flat().forEach(([x, y, visible]) => { if (visible) make("circle", { cx: x, cy: y, r: wide / 2, fill: "#fff" }, parent); });
    };
  }

  // A button that shows a pose of the library.
  function small(name, pose, figure) {
    const button = Object.assign(document.createElement("button"), { type: "button", title: name });
    button.setAttribute("aria-label", `Pose: ${name}`);
    const drawing = make("svg", { viewBox: `0 0 ${pose.canvas_width} ${pose.canvas_height}`, "aria-hidden": "true" }, button);
    unpack(pose).forEach((parts) => figure(parts, drawing, 9));
    return button;
  }

  return { BODY, unpack, pack, known, seen, anybody, mapped, fitted, box, turned, gesture, allowed, moveJoint, nearest, make, painter, small };
})();
