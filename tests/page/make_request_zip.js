// Runs lyncnb/page/keys.js in Node.js as the page does. The first line of the standard input is the
// task; the answer to each message of the page follows, a line each. Messages go to the standard
// output, and the archive to the file that the task names.
"use strict";
const fs = require("node:fs");
const lines = require("node:readline").createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => JSON.parse((await lines.next()).value);
const send = (message) => process.stdout.write(JSON.stringify(message) + "\n");

(async () => {
  const task = await read();
  globalThis.navigator ??= { hardwareConcurrency: 2 }; // Node.js 20 does not have it
  globalThis.zxcvbn = require(task.zxcvbn);
  const { makeRequestZip, findPassphraseProblem } =
    new Function(`${fs.readFileSync(task.script, "utf8")}; return { makeRequestZip, findPassphraseProblem };`)();
  if (task.passphrases) {
    send({ problems: task.passphrases.map((text) => findPassphraseProblem(text, task.contents.passphrase)) });
  } else {
    try {
      const archive = await makeRequestZip({ contents: task.contents, passphrase: task.passphrase,
        writeFiles: async (hashes) => { send({ hashes }); return read(); },
        progress: (done, total) => send({ done, total }) });
      fs.writeFileSync(task.archive, archive);
      send({ size: archive.length });
    } catch (error) {
      send({ error: error.message });
    }
  }
  process.exit(0);
})();
