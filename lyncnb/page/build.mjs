// Creates the memory from which each page starts, with Node.js:
// node build.mjs PYODIDE_FOLDER PACK OUTPUT_FOLDER
// PACK contains the files of lyncnb and its libraries. The result is the same for the same input.
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, packed, output] = process.argv.slice(2);

// Python knows the program that started it by this path, which depends on where lyncnb is installed.
process.argv[1] = "build.mjs";

// Pyodide is one line of a megabyte, which Node.js would print with the error.
process.on("uncaughtException", (error) => {
  console.error(String(error?.message ?? error).slice(-4000));
  process.exit(1);
});

// Times and random numbers would end up in the memory, and no two builds would be equal.
Date.now = () => 1_700_000_000_000;
performance.now = () => 0;
let state = 1;
crypto.randomFillSync = (array) => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  for (let k = 0; k < bytes.length; k++) bytes[k] = (state = (state * 48271) % 2147483647) & 255;
  return array;
};

const { loadPyodide } = await import(pathToFileURL(path.resolve(folder, "pyodide.mjs")).href);
const options = { indexURL: path.resolve(folder) + "/", env: { HOME: "/tables", PYTHONHASHSEED: "0" } };

/** @param {Uint8Array} bytes @returns {[string, Uint8Array][]} */
function readPack(bytes) {
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  let at = 4 + size;
  return JSON.parse(new TextDecoder().decode(bytes.subarray(4, at)))
    .map(([name, length]) => [name, bytes.subarray(at, at += length)]);
}

/** @param {[string, Uint8Array][]} files */
function makePack(files) {
  const list = Buffer.from(JSON.stringify(files.map(([name, bytes]) => [name, bytes.length])));
  const size = Buffer.alloc(4);
  size.writeUInt32LE(list.length);
  return Buffer.concat([size, list, ...files.map(([, bytes]) => bytes)]);
}

// Parts of Python's library that need a terminal, a process, a network, another system or a test, and the
// encodings of tables that lyncnb does not read.
const LEFT_OUT = ("_aix_support|_android_support|_apple_support|_ast_unparse|_colorize|_osx_support|_pyio|_pydatetime|"
  + "_pyrepl|_sysconfigdata.*|antigravity|argparse|asyncio/(__main__|proactor_events|tools|windows_.*)|bdb|cProfile|cmd|"
  + "code|codeop|compileall|concurrent/(futures/process|interpreters)|configparser|ctypes|curses|dbm|doctest|email/_header_"
  + "value_parser|encodings/(cp(?!1252)[1-8]..?.?|hp_.*|iso.*|johab|koi8.*|mac_.*|palmos|ptcp.*|tis.*|euc.*|shift.*)|ensurepip|"
  + "fileinput|filecmp|ftplib|getopt|gettext|http|idlelib|imaplib|logging/(config|handlers)|mailbox|mimetypes|modulefinder|"
  + "multiprocessing|netrc|optparse|pdb|pickletools|plistlib|poplib|profile|pstats|pty|py_compile|pyclbr|pydoc|pydoc_data|"
  + "pyodide/(console|http|_nodesock.*)|rlcompleter|runpy|sched|shelve|smtplib|socketserver|sqlite3|statistics|symtable|"
  + "sysconfig|tabnanny|tarfile|this|timeit|tkinter|trace|tracemalloc|tty|turtle|turtledemo|unittest|urllib/(request|"
  + "robotparser)|uuid|venv|wave|webbrowser|wsgiref|xml/(dom|sax|etree)|xmlrpc|zipapp");

// Compiles every module without its docstrings and assertions.
const COMPILE = `
import importlib.util, io, re, zipfile
from importlib._bootstrap_external import _code_to_hash_pyc
def compiled(data, name):
    data = bytes(data)
    code = compile(data, name, "exec", dont_inherit=True, optimize=2)
    return bytes(_code_to_hash_pyc(code, importlib.util.source_hash(data), False))
def library(data, left_out, without=None):
    """Compile the library; or, with the names of loaded modules, return only what may still be needed."""
    source, made = zipfile.ZipFile(io.BytesIO(bytes(data))), io.BytesIO()
    left_out, is_rest = re.compile(f"({left_out})(/.*)?"), without is not None
    without = set(without or ())
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9 if is_rest else 1) as target:
        for name in sorted(source.namelist()):
            module = name.rsplit(".", 1)[0]
            is_left_out = bool(left_out.fullmatch(module))
            if name.endswith("/") or module in without or is_rest and is_left_out:
                continue
            content = source.read(name)
            if name.endswith(".py") and not is_left_out:
                name, content = module + ".pyc", compiled(content, name)
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, content)
    return made.getvalue()
`;

const maker = await loadPyodide(options);
maker.runPython(COMPILE);
const compiled = maker.globals.get("compiled");
const library = maker.globals.get("library");
const take = (proxy) => { const bytes = proxy.toJs(); proxy.destroy(); return bytes; };
const read = (name) => new Uint8Array(fs.readFileSync(name)); // Pyodide does not accept a Buffer
const files = readPack(read(packed)).map(([name, bytes]) => {
  if (!name.endsWith(".py")) return [name, bytes];
  return [name.slice(0, -3) + ".pyc", take(compiled(bytes, name))];
});
const source = read(path.join(folder, "python_stdlib.zip"));
const whole = take(library(source, LEFT_OUT));

// The memory is taken from a Python whose own library is compiled, too.
const warm = path.join(output, "warm");
fs.cpSync(folder, warm, { recursive: true });
fs.writeFileSync(path.join(warm, "python_stdlib.zip"), whole);
const python = await loadPyodide({ ...options, indexURL: path.resolve(warm) + "/", _makeSnapshot: true });
for (const [name, bytes] of files) {
  python.FS.mkdirTree(path.posix.dirname(name));
  python.FS.writeFile(name, bytes);
}
python.FS.mkdirTree("/tables");
python.FS.chdir("/tables");
const loaded = JSON.parse(python.runPython(`
import gc, json, linecache, re, sys, zipimport
sys.path.insert(0, "/lib/site")
from lyncnb.page.in_worker import warm_up
loaded = json.dumps(warm_up())
# The page holds smaller files than these, so nothing may be known of their content.
zipimport._zip_directory_cache.clear()
sys.path_importer_cache.clear()
linecache.clearcache()
re.purge()
gc.collect()
loaded
`));

// Freed memory keeps its content. If it is filled with zeros, it needs no space in the page.
function clearFreeMemory(module) {
  const grow = WebAssembly.Memory.prototype.grow;
  const held = [];
  WebAssembly.Memory.prototype.grow = () => { throw new RangeError("no more memory"); };
  for (let size = 1 << 22; size >= 64; size >>= 1) {
    for (let address; (address = module._malloc(size)); held.push(address)) {
      module.HEAPU8.fill(0, address, address + size);
    }
  }
  for (const address of held.reverse()) module._free(address);
  WebAssembly.Memory.prototype.grow = grow;
}
clearFreeMemory(python._module);
fs.writeFileSync(path.join(output, "memory.bin"), python.makeMemorySnapshot());

const known = new Set(loaded);
const inLibrary = loaded.map((name) => name.split(/python\d+\.zip\//)[1]).filter(Boolean)
  .map((name) => name.replace(/\.pyc?$/, ""));
fs.writeFileSync(path.join(output, "library.zip"), take(library(whole, LEFT_OUT, maker.toPy(inLibrary))));
// The memory also contains the Public Suffix List.
const rest = files.filter(([name]) => !known.has(name) && !name.endsWith(".dat"));
fs.writeFileSync(path.join(output, "site.bin"), makePack(rest));
fs.rmSync(warm, { recursive: true });
