// Follows the visitor's jobs one after another until each is over: the newest preview only, and only while the page can be seen.
//   draw(view)         shows how a job stands
//   gone()             shows that the studio does not know the followed job any more
//   complain(message)  says what is wrong, or takes it back
studio.following = ({ server, draw, gone, complain }) => {
  const waiting = []; // ids of this visitor's jobs that are not over, the followed one first
  let going = false;
  let silent = false; // whether the page says that the studio does not answer

  function failed(error, again = false) {
    console.warn("studio: no answer", error);
    silent = again && !(error instanceof studio.Told);
    if (error instanceof studio.Told) complain(error.message);
    else complain(again ? "The studio does not answer; trying again." : "The studio does not answer; try again.");
  }

  // Does what needs the studio until it answers; returns nothing when it answered with a sentence.
  async function insist(work) {
    for (;;) {
      try {
        const done = await work();
        if (silent) complain("");
        silent = false;
        return done;
      } catch (error) {
        failed(error, true);
        if (!silent) return undefined;
        await studio.sleep(1000);
      }
    }
  }

  // What is only looked at is not this visitor's to stop.
  const tellBusy = () => studio.know("busy", waiting.length > 0 && !studio.looksOn());

  async function tail(job) {
    let version = -1, seen = -1;
    for (;;) {
      const view = await insist(async () => {
        await studio.seen();
        return studio.ask(server.poll, [job, version, seen]);
      });
      if (view === null) return gone();
      if (!view) {
        await studio.sleep(1000); // it was refused for now, with a sentence
        continue;
      }
      ({ version, seen } = view);
      await insist(() => draw(view));
      if (view.over) return;
      await studio.sleep(40);
    }
  }

  async function follow(...jobs) {
    waiting.push(...jobs.filter((job) => !waiting.includes(job)));
    tellBusy();
    if (going) return;
    going = true;
    while (waiting.length) {
      await tail(waiting[0]);
      waiting.shift();
      tellBusy();
    }
    going = false;
    studio.know("place", "");
    studio.say("over");
  }

  studio.on("stop", () => {
    if (waiting.length && !studio.looksOn()) studio.ask(server.stop_job, waiting[0]).catch(failed);
  });
  studio.watch("person", tellBusy);
  tellBusy();

  return { follow, insist, failed, count: () => waiting.length };
};
