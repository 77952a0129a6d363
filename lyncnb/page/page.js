// @ts-check
// The main thread of the page: it starts Python in a worker, shows the panels, and opens and downloads
// files. It stores nothing in the browser.
"use strict";

/** @param {string} id */
const at = (id) => /** @type {any} */ (document.getElementById(`page-${id}`));
/** @param {string} words */
const say = (words) => { at("state").textContent = words; };
/** @param {string[]} lines */
const warn = (lines) => {
  at("problem").replaceChildren(...lines.map((line) =>
    Object.assign(document.createElement("div"), { textContent: line })));
};

const STARTING = "The planner is starting …";

/** Why this browser cannot run the planner, or "". */
function findObstacle() {
  if (typeof WebAssembly !== "object") {
    return "This browser cannot run WebAssembly, so the planner cannot start. "
      + "A strict security mode or a policy from your organization can turn WebAssembly off.";
  }
  if (typeof DecompressionStream !== "function" || typeof Worker !== "function") {
    return "This browser is too old for the planner. Use Chromium, Chrome or Edge 80 or later, or Firefox 113 or later.";
  }
  return "";
}

/** @param {string} id the element is removed @returns {Uint8Array} */
function takePart(id) {
  const text = at(id).textContent.trim();
  at(id).remove();
  const fromBase64 = /** @type {any} */ (Uint8Array).fromBase64;
  return fromBase64 ? fromBase64.call(Uint8Array, text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

/** @param {Uint8Array} bytes */
async function inflate(bytes) {
  const stream = new Blob([/** @type {any} */ (bytes)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @type {Worker} */
let worker;
/** @param {any} message @param {Transferable[]} [buffers] */
const post = (message, buffers = []) => worker.postMessage(message, buffers);

/** @type {Set<(message: any, buffers: DataView[]) => void>} */
const listeners = new Set();
const model = {
  /** @param {string} _ @param {any} listen */
  on(_, listen) { listeners.add(listen); },
  /** @param {string} _ @param {any} listen */
  off(_, listen) { listeners.delete(listen); },
  /** @param {any} content */
  send(content) { post({ kind: "panel", content }); },
  host: {
    words: {
      gone: "The planner has stopped. Do not download anything from this page. Open this file again.",
      noAnswer: "The planner is still working. Wait until it has finished.",
    },
    pick() { at("pick").click(); },
  },
};
/** @type {(() => void) | undefined} */
let endPanel;
let unsaved = 0; // the number of edits that are not saved
/** @type {Promise<unknown>} */
let downloads = Promise.resolve();
const requestPart = makeRequestPart({ post, say, warn, prepare: loadEstimator });

/** Adds zxcvbn, which only requests need. */
async function loadEstimator() {
  if ("zxcvbn" in globalThis) return;
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await inflate(takePart("estimator")));
  document.head.append(script);
}

/** @type {Record<string, (parts: any, buffers: ArrayBuffer[]) => unknown>} */
const ANSWERS = {
  panel(message, buffers) {
    const views = buffers.map((buffer) => new DataView(buffer));
    for (const listen of [...listeners]) listen(message, views);
  },
  show({ panel }) {
    warn([]);
    document.body.classList.add("planner");
    at("plan-style").media = "not all";
    at("bar").hidden = at("main").hidden = false;
    endPanel?.();
    listeners.clear();
    at("panel").replaceChildren();
    endPanel = PANELS[panel].render({ model, el: at("panel") });
  },
  said({ words }) { say(words); },
  refused({ lines }) {
    warn(lines);
    requestPart.refuse();
  },
  requests(parts) { requestPart.answer(parts); },
  request_files(parts) { requestPart.answer(parts); },
  state(parts) {
    const { has_plan } = parts;
    unsaved = parts.unsaved;
    at("unsaved").textContent = !has_plan ? "Downloads need an open table." : unsaved ? `${unsaved.toLocaleString("en")} unsaved ${unsaved === 1 ? "edit" : "edits"}` : "";
    requestPart.setPlan(has_plan);
    for (const id of ["document", "download", "draft"]) at(id).disabled = !has_plan;
  },
  file({ name }, [buffer]) {
    // A browser drops a download if the next download begins immediately.
    downloads = downloads.then(() => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([buffer]));
      link.download = name;
      link.click();
      say(`Downloaded: ${name}`);
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      return new Promise((resolve) => { setTimeout(resolve, 250); });
    });
  },
  ready() {
    if (at("state").textContent === STARTING) say("");
    document.body.dataset.state = "ready";
  },
  failed({ words }) {
    requestPart.refuse();
    warn([`The planner has stopped: ${words}`, "What to do: open this file again."]);
  },
};

/** @param {Iterable<File>} files */
async function openFiles(files) {
  const chosen = await Promise.all([...files].map(async (file) =>
    ({ name: file.name, data: new Uint8Array(await file.arrayBuffer()) })));
  warn([]);
  if (chosen.length) post({ kind: "files", files: chosen }, chosen.map(({ data }) => data.buffer));
}

function connectTools() {
  at("pick").onchange = async () => {
    await openFiles(at("pick").files);
    at("pick").value = "";
  };
  at("open").onclick = () => at("pick").click();
  at("ask").onclick = () => { warn([]); post({ kind: "ask" }); };
  at("document").replaceChildren(...JSON.parse(at("documents").textContent).map(
    (/** @type {[string, string]} */ [value, title]) => new Option(title, value)));
  at("download").onclick = () => { warn([]); post({ kind: "document", document: at("document").value }); };
  at("draft").onclick = () => { warn([]); post({ kind: "draft" }); };
  requestPart.connect();
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("over");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("over");
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    openFiles(event.dataTransfer.files);
  });
  window.addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
}

async function start() {
  say(STARTING);
  const [code, wasm, library, pack, snapshot] = await Promise.all([inflate(takePart("worker")),
    inflate(takePart("wasm")), takePart("library"), inflate(takePart("site")), inflate(takePart("memory"))]);
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  worker = new Worker(address);
  URL.revokeObjectURL(address);
  const isStarted = new Promise((resolve, reject) => {
    worker.onerror = (event) => reject(new Error(event.message || "the browser does not allow web workers"));
    worker.onmessage = ({ data: { kind, parts, buffers } }) => {
      ANSWERS[kind](parts, buffers);
      if (kind === "ready") resolve(undefined);
      if (kind === "failed") reject(new Error(parts.words));
    };
  });
  const { files, product } = JSON.parse(at("files").textContent);
  const opened = files.map((/** @type {{ name: string, data: string }} */ { name, data }) =>
    ({ name, data: Uint8Array.from(atob(data), (c) => c.charCodeAt(0)) }));
  connectTools();
  post({ kind: "start", wasm, library, pack, snapshot, lock: at("lock").textContent, files: opened, product },
    [wasm.buffer, library.buffer, pack.buffer, snapshot.buffer]);
  await isStarted;
}

/** @param {string} why */
function showPlanOnly(why) {
  document.body.classList.remove("planner");
  document.body.dataset.state = "plan";
  at("plan-style").media = "all";
  at("bar").hidden = at("main").hidden = true;
  say("");
  const below = at("plan").textContent.trim() ? "The plan below is complete, but you cannot change it here."
    : "Open this file in another browser.";
  warn([why, below]);
}

const obstacle = findObstacle();
if (obstacle) showPlanOnly(obstacle);
else start().catch((error) => showPlanOnly(`The planner could not start: ${error.message}`));
