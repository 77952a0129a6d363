// @ts-check
// The "Requests" section of the page: it asks for a passphrase, creates the request folder, and offers it as
// an archive. The passphrase stays in the two fields and in the main thread. No message to the worker has it.

/**
 * @param {{post: (message: any) => void, say: (words: string) => void, warn: (lines: string[]) => void,
 *   prepare: () => Promise<unknown>}} page `prepare` loads zxcvbn, which estimates passphrases
 */
function makeRequestPart({ post, say, warn, prepare }) {
  /** @param {string} id */
  const at = (id) => /** @type {any} */ (document.getElementById(`page-${id}`));
  /** @type {{resolve: (answer: any) => void, reject: (reason: unknown) => void} | undefined} */
  let waiting;
  /** @type {{name: string, data: Blob} | undefined} the name has the name of the table */
  let archive;
  let isMaking = false, isDelivered = true, hasPlan = false;

  /** @param {any} message @returns {Promise<any>} the worker's answer; rejected without a reason if refused */
  const ask = (message) => new Promise((resolve, reject) => {
    waiting = { resolve, reject };
    post(message);
  });

  function show() {
    at("requests").hidden = !hasPlan && !archive; // an archive can still be downloaded
    at("make").disabled = isMaking || !hasPlan;
    at("get").hidden = !archive;
    at("get").textContent = archive ? `Download ${archive.name}` : "";
    at("made").hidden = !isMaking;
  }

  /** @param {"first" | "again"} id */
  function take(id) {
    const typed = at(id).value;
    at(id).value = "";
    return typed;
  }

  /** @param {string} passphrase */
  async function makeArchive(passphrase) {
    await prepare();
    const now = `${new Date().toISOString().slice(0, 19)}Z`;
    const contents = await ask({ kind: "requests", now });
    const problem = findPassphraseProblem(passphrase, contents.passphrase);
    if (problem) {
      warn([`The passphrase ${problem}`, `What to do: ${contents.passphrase.hint}`]);
      return;
    }
    isDelivered = false;
    const bytes = await makeRequestZip({ contents, passphrase,
      progress: (done, total) => { Object.assign(at("made"), { value: done, max: total }); },
      writeFiles: (hashes) => ask({ kind: "request_files", hashes }) });
    archive = { name: contents.archive, data: new Blob([bytes], { type: "application/zip" }) };
    const count = contents.requests.length;
    say(`${count} ${count === 1 ? "request" : "requests"} of ${contents.table} ${count === 1 ? "is" : "are"} ready. `
      + "Download the archive now, because the keys exist only in this page.");
  }

  async function make() {
    const passphrase = take("first"), repeated = take("again");
    warn([]);
    if (passphrase !== repeated) {
      warn(["The two passphrases are different.", "What to do: enter the same passphrase in both boxes."]);
      at("first").focus();
      return;
    }
    [archive, isDelivered, isMaking] = [undefined, true, true];
    at("made").removeAttribute("value");
    say("Creating keys and requests …");
    show();
    try {
      await makeArchive(passphrase);
    } catch (error) {
      if (error) warn([error instanceof Error ? error.message : String(error)]);
    }
    isMaking = false;
    if (!archive) {
      isDelivered = true;
      say("");
    }
    show();
    at(archive ? "get" : "first").focus();
  }

  function download() {
    const link = document.createElement("a");
    const { name, data } = /** @type {{name: string, data: Blob}} */ (archive);
    link.href = URL.createObjectURL(data);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    isDelivered = true;
    say(`Downloaded: ${name}. On the computer where you use lyncnb, extract the archive and run: lyncnb status requests`);
  }

  return {
    connect() {
      at("make").onclick = make;
      at("get").onclick = download;
      for (const id of ["first", "again"]) {
        at(id).onkeydown = (/** @type {KeyboardEvent} */ event) => { if (event.key === "Enter" && !isMaking) make(); };
      }
      window.addEventListener("beforeunload", (event) => { if (!isDelivered) event.preventDefault(); });
    },
    /** @param {boolean} is */
    setPlan(is) {
      hasPlan = is;
      show();
    },
    /** @param {any} parts the answer to `requests` or `request_files` */
    answer(parts) { waiting?.resolve(parts); },
    /** Ends a request that the worker refused; the page already shows why. */
    refuse() { waiting?.reject(undefined); },
  };
}
