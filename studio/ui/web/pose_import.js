// Poses that are brought into the editor: from the library, as OpenPose's JSON, or found in a picture.
//   asked(call, data, part)  asks the server and says what is wrong, see `pose.js`
//   turn()                   goes up whenever another unit is shown, so that late answers are dropped
//   take(pose)               the people of a pose replace those that are there
//   figure, draw             draws a person; says anew how the editor stands
studio.poseImport = ({ element, find, server, longest, turn, asked, complain, take, figure, draw }) => {
  const LARGEST = 20_000_000;
  let poses = null;
  let given = 0; // number of the newest text or picture that was given to be read

  function open(button, part, wanted) {
    find(button).setAttribute("aria-expanded", wanted);
    find(part).hidden = !wanted;
  }
  const flip = (button) => find(button).getAttribute("aria-expanded") !== "true";

  async function library() {
    poses ??= await asked(server.pose_library, null, "poses");
    return poses ?? [];
  }
  async function showLibrary(wanted) {
    open("poses", "library", wanted);
    if (!wanted || find("library").children.length) return;
    const list = await library();
    find("library").replaceChildren(...list.map(({ name, pose }) => {
      const button = studio.poses.small(name, pose, figure);
      button.addEventListener("click", () => take(pose));
      return button;
    }));
  }

  const tooLong = (length) => complain(`This pose has ${length} characters; one of at most ${longest} can be read, so leave people or frames out.`);
  async function read(text) {
    if (text.length > longest) return tooLong(text.length);
    const now = turn(), mine = (given += 1);
    const pose = await asked(server.pose_read, text);
    if (!pose || now !== turn() || mine !== given) return;
    take(pose);
    find("text").value = "";
    open("import", "importing", false);
  }
  async function findPeople(file) {
    if (file.size > LARGEST) return complain(`This picture is a file of ${Math.round(file.size / 1e6)} MB; give one of at most ${LARGEST / 1e6} MB.`);
    const now = turn(), mine = (given += 1), reader = new FileReader();
    await new Promise((done, failed) => { reader.onload = done; reader.onerror = () => failed(reader.error); reader.readAsDataURL(file); });
    find("said").textContent = "Looking for people in the picture";
    const pose = await asked(server.pose_find, reader.result);
    if (now !== turn()) return;
    if (!pose || mine !== given) return draw();
    take(pose);
    open("import", "importing", false);
  }

  const isText = (file) => file && !file.type.startsWith("image/");
  async function readFile(file) {
    if (!isText(file)) return findPeople(file);
    return file.size > 4 * longest ? tooLong(file.size) : read(await file.text());
  }
  const bring = (file) => studio.settle(readFile(file).catch((error) => {
    console.warn("studio: a file could not be read", error);
    complain("This file could not be read; choose it again.");
  }));

  find("poses").addEventListener("click", () => showLibrary(flip("poses")));
  find("import").addEventListener("click", () => { open("import", "importing", flip("import")); find("text").focus(); });
  find("choose").addEventListener("click", () => find("file").click());
  find("file").addEventListener("change", () => { const [file] = find("file").files; find("file").value = ""; if (file) bring(file); });
  find("text").addEventListener("input", () => { if (find("text").value.trim()) studio.settle(read(find("text").value)); });
  element.addEventListener("drop", (event) => {
    const file = [...event.dataTransfer.files].find(isText);
    if (!file) return;
    event.preventDefault();
    event.stopPropagation();
    bring(file);
  });

  return { library, showLibrary };
};
