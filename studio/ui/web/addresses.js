// What is said of a picture that the studio has no more; who looks on can neither look it up nor make it again.
studio.gone = (sentence) => new studio.Told(studio.looksOn() ? "The owner does not show this picture any more." : sentence);

// Where finished pictures can be fetched: each is asked for once, and its address stays good for as long as somebody needs its work.
// `needed()` returns those works.
studio.addresses = ({ server, needed }) => {
  const files = new Map(); // work -> index -> promise of {name, url}

  async function fetched(work, index) {
    const { id, seed } = work.pictures[index];
    if (!work.job) return { name: `studio-${seed}.png`, url: `kept/${id}.png` };
    const answer = await studio.ask(server.picture, [work.job, index]);
    if (!answer) throw studio.gone("This picture is no longer here; open it in the history, or make it again with its seed.");
    const bytes = Uint8Array.from(atob(answer.png), (letter) => letter.charCodeAt(0));
    return { name: answer.name, url: URL.createObjectURL(new Blob([bytes], { type: "image/png" })) };
  }

  function file(work, index) {
    if (!files.has(work)) files.set(work, new Map());
    const own = files.get(work);
    if (!own.has(index)) {
      own.set(index, fetched(work, index));
      own.get(index).catch(() => own.delete(index));
    }
    return own.get(index);
  }

  function release() {
    const still = needed();
    for (const [work, own] of files) {
      if (still.includes(work)) continue;
      files.delete(work);
      own.forEach((kept) => kept.then(({ url }) => { if (url.startsWith("blob:")) URL.revokeObjectURL(url); }, () => {}));
    }
  }

  return { file, release };
};
