// @ts-check
// The worker of the page: Python runs here. Everything that Pyodide loads comes from the page, and the
// page's policy allows no connection. The build puts Pyodide's own scripts above this one.
"use strict";

/** @type {Record<string, Uint8Array<ArrayBuffer>>} */
let held = {}; // the files that Pyodide loads, by name
self.fetch = async (address) => {
  const name = String(address).split("/").pop() ?? "";
  if (!(name in held)) throw new TypeError(`this page has no connection: ${name}`);
  const type = name.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
  return new Response(held[name], { headers: { "Content-Type": type } });
};

/** @type {any} */
let python;
/** @type {any} */
let session;

/** @param {string} kind @param {string} parts in JSON @param {any} buffers a list of bytes */
function post(kind, parts, buffers) {
  const copies = buffers.toJs().map((/** @type {Uint8Array} */ bytes) => bytes.slice().buffer);
  self.postMessage({ kind, parts: JSON.parse(parts), buffers: copies }, copies);
}

/**
 * Writes the files of a pack to Python's disk in memory: a list of names and sizes, then the contents.
 * @param {Uint8Array} pack
 */
function unpack(pack) {
  const size = new DataView(pack.buffer, pack.byteOffset).getUint32(0, true);
  let at = 4 + size;
  for (const [path, length] of JSON.parse(new TextDecoder().decode(pack.subarray(4, at)))) {
    python.FS.mkdirTree(path.slice(0, path.lastIndexOf("/")));
    python.FS.writeFile(path, pack.subarray(at, at + length));
    at += length;
  }
}

/** @param {{ name: string, data: Uint8Array }[]} files @returns {string[]} their names */
function write(files) {
  for (const { name, data } of files) python.FS.writeFile(`/tables/${name}`, data);
  return files.map(({ name }) => name);
}

/** @type {Record<string, (message: any) => unknown>} */
const ACTIONS = {
  async start({ wasm, library, pack, snapshot, lock, files, product }) {
    held = { "pyodide.asm.wasm": wasm, "python_stdlib.zip": library };
    python = await loadPyodide({ indexURL: "memory://page/", createPyodideModule: _createPyodideModule,
      lockFileContents: lock, _loadSnapshot: snapshot });
    held = {};
    unpack(pack);
    python.FS.mkdirTree("/tables");
    python.FS.chdir("/tables");
    // Every page starts from the same memory, but not with the same random numbers.
    python.runPython("import random; random.seed()");
    session = python.runPython("from lyncnb.page.in_worker import make_session; make_session")(post);
    session.start_session(python.toPy(write(files)), product);
    self.postMessage({ kind: "ready", parts: {}, buffers: [] });
  },
  files: ({ files }) => session.open_files(python.toPy(write(files))),
  panel: ({ content }) => session.receive(JSON.stringify(content)),
  ask: () => session.ask_questions(),
  document: ({ document }) => session.write_document(document),
  draft: () => session.download_draft(),
  requests: ({ now }) => session.prepare_requests(now),
  request_files: ({ hashes }) => session.write_request_files(python.toPy(hashes)),
};

self.onmessage = async ({ data }) => {
  try {
    await ACTIONS[data.kind](data);
  } catch (error) {
    const words = String(error instanceof Error ? error.message : error).trim().split("\n").pop();
    self.postMessage({ kind: "failed", parts: { words }, buffers: [] });
  }
};
