// @ts-check
// Keys and CSRs by WebCrypto, for the page that plans without a server. The passphrase and the keys
// stay in this thread. The worker gets the hashes of CSRs and public keys, and nothing secret.

/**
 * The content of a request, as `prepare_folder` in request_folder_of.py returns it. `csr` and `key`
 * are paths in the folder. `subject` has pairs of an object identifier and a value, CN first.
 * @typedef {{id: string, generation: number, subject: [string, string][],
 *   names: string[], extended_key_usage: string[], key_usage: string[], key_algorithm: string,
 *   key_bits: number, hash: string}} RequestToMake
 *
 * @typedef {{least_characters: number, most_bytes: number, too_short: string, not_typed: string,
 *   too_long: string, too_easy: string, estimated_characters: number, least_score: number,
 *   within_a_word: number, little_remains: string, hint: string,
 *   known: string[]}} PassphraseRules
 *
 * @typedef {{requests: RequestToMake[], passphrase: PassphraseRules,
 *   derivation: {rounds: number, salt: number, bytes: number}}} UnkeyedFolder
 *
 * @typedef {Record<string, {csr_sha256: string, spki_sha256: string}>} PublicHashes
 * @typedef {Uint8Array<ArrayBuffer>} Bytes
 */

const { makeRequestZip, findPassphraseProblem } = (() => {
  const subtle = crypto.subtle;
  /** @param {string} text @returns {Bytes} */
  const utf8 = (text) => new TextEncoder().encode(text);

  // --- DER (X.690) and PEM (RFC 7468).

  /** @param {ArrayLike<number>[]} parts @returns {Bytes} */
  function join(parts) {
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  /** @param {number} tag @param {ArrayLike<number>[]} parts */
  function der(tag, ...parts) {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    const length = [];
    for (let rest = size; rest; rest >>= 8) length.unshift(rest & 255);
    if (size < 128) length.splice(0, length.length, size);
    else length.unshift(0x80 | length.length);
    return join([[tag, ...length], ...parts]);
  }

  /** @param {ArrayLike<number>[]} parts */
  const sequence = (...parts) => der(0x30, ...parts);
  /** @param {ArrayLike<number>} bytes */
  const octets = (bytes) => der(0x04, bytes);
  /** @param {ArrayLike<number>} bytes */
  const bits = (bytes, unused = 0) => der(0x03, [unused], bytes);
  const NULL = der(0x05);

  /** @param {ArrayLike<number>} bytes a number without a sign, the most significant byte first */
  function integer(bytes) {
    let start = 0;
    while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
    const digits = Array.from(bytes).slice(start);
    return der(0x02, digits[0] & 0x80 ? [0, ...digits] : digits);
  }

  /** @param {number} value */
  const number = (value) => integer([24, 16, 8, 0].map((shift) => (value >>> shift) & 255));

  /** @param {string} dotted */
  function identifier(dotted) {
    const [first, second, ...rest] = dotted.split(".").map(Number);
    const bytes = [];
    for (const arc of [40 * first + second, ...rest]) {
      const digits = [arc & 127];
      for (let left = Math.floor(arc / 128); left; left = Math.floor(left / 128)) {
        digits.unshift((left & 127) | 128);
      }
      bytes.push(...digits);
    }
    return der(0x06, bytes);
  }

  /** @param {string} label @param {Bytes} bytes */
  function pem(label, bytes) {
    const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    const lines = text.match(/.{1,64}/g) ?? [];
    return utf8(`-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`);
  }

  /** @param {Bytes} bytes */
  const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  /** @param {Bytes} bytes */
  const sha256 = async (bytes) => hex(new Uint8Array(await subtle.digest("SHA-256", bytes)));

  // --- The encryption of the keys, as FolderCipher in pki/pkcs8.py writes it: PBES2 (RFC 8018) with
  // --- PBKDF2-HMAC-SHA-256 and AES-256-CBC. A run derives one key, and each file has a new IV.

  const FOR_RECORDS = "lyncnb records of a folder 1";

  /**
   * Derives the key that encrypts the keys, and the key of the HMACs that bind a key to its request.
   * @param {string} passphrase @param {UnkeyedFolder["derivation"]} derivation
   */
  async function deriveKeys(passphrase, derivation) {
    const salt = crypto.getRandomValues(new Uint8Array(derivation.salt));
    const typed = utf8(passphrase);
    const base = await subtle.importKey("raw", typed, "PBKDF2", false, ["deriveBits"]);
    typed.fill(0);
    const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations: derivation.rounds };
    const derived = new Uint8Array(await subtle.deriveBits(how, base, 8 * derivation.bytes));
    try {
      const cipher = await subtle.importKey("raw", derived, "AES-CBC", false, ["encrypt"]);
      const source = await subtle.importKey("raw", derived, "HKDF", false, ["deriveKey"]);
      const info = utf8(FOR_RECORDS), hash = "SHA-256";
      const records = await subtle.deriveKey({ name: "HKDF", hash, salt: new Uint8Array(), info },
        source, { name: "HMAC", hash, length: 256 }, false, ["sign"]);
      return { salt, rounds: derivation.rounds, cipher, records };
    } finally {
      derived.fill(0);
    }
  }

  /** @param {Bytes} pkcs8 @param {{salt: Bytes, rounds: number, cipher: CryptoKey}} keys */
  async function encryptKey(pkcs8, keys) {
    const iv = crypto.getRandomValues(new Uint8Array(16));
    const text = await subtle.encrypt({ name: "AES-CBC", iv }, keys.cipher, pkcs8);
    const hmac = sequence(identifier("1.2.840.113549.2.9"), NULL);
    const parameters = sequence(octets(keys.salt), number(keys.rounds), hmac);
    const derivation = sequence(identifier("1.2.840.113549.1.5.12"), parameters);
    const scheme = sequence(identifier("2.16.840.1.101.3.4.1.42"), octets(iv));
    const algorithm = sequence(identifier("1.2.840.113549.1.5.13"), sequence(derivation, scheme));
    return pem("ENCRYPTED PRIVATE KEY", sequence(algorithm, octets(new Uint8Array(text))));
  }

  // --- The certification request (RFC 2986), with the same bytes as build_request in pki/csr.py.

  const COUNTRY = "2.5.4.6";
  const USAGES = ["digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment",
    "keyAgreement", "keyCertSign", "cRLSign"];
  /** @type {Record<string, {name: string, rsa: string, ecdsa: string}>} */
  const HASHES = {
    sha256: { name: "SHA-256", rsa: "1.2.840.113549.1.1.11", ecdsa: "1.2.840.10045.4.3.2" },
    sha384: { name: "SHA-384", rsa: "1.2.840.113549.1.1.12", ecdsa: "1.2.840.10045.4.3.3" },
    sha512: { name: "SHA-512", rsa: "1.2.840.113549.1.1.13", ecdsa: "1.2.840.10045.4.3.4" },
  };

  /** @param {[string, string][]} subject */
  function encodeSubject(subject) {
    // A country is a PrintableString (RFC 5280 appendix A.1). The order is that of X.501.
    const fields = subject.map(([id, value]) =>
      der(0x31, sequence(identifier(id), der(id === COUNTRY ? 0x13 : 0x0c, utf8(value)))));
    return sequence(...fields.reverse());
  }

  /** @param {string[]} usages */
  function encodeKeyUsage(usages) {
    let flags = 0;
    for (const usage of usages) {
      if (!USAGES.includes(usage)) throw new Error(`${usage} is not a known key usage`);
      flags |= 0x80 >> USAGES.indexOf(usage);
    }
    let unused = 0;
    while (unused < 7 && !((flags >> unused) & 1)) unused += 1;
    return bits([flags], unused);
  }

  /** @param {RequestToMake} content */
  function encodeExtensions(content) {
    /** @param {string} id @param {Bytes} value */
    const extension = (id, value, isCritical = false) =>
      sequence(identifier(id), ...(isCritical ? [der(0x01, [255])] : []), octets(value));
    const names = content.names.map((name) => der(0x82, utf8(name)));
    const purposes = content.extended_key_usage.map(identifier);
    return sequence(
      ...(names.length ? [extension("2.5.29.17", sequence(...names))] : []),
      extension("2.5.29.15", encodeKeyUsage(content.key_usage), true),
      ...(purposes.length ? [extension("2.5.29.37", sequence(...purposes))] : []),
    );
  }

  /** @param {RequestToMake} content @param {CryptoKeyPair} pair @param {Bytes} spki */
  async function signRequest(content, pair, spki) {
    const isRsa = content.key_algorithm === "RSA";
    const hash = HASHES[content.hash];
    const extensions = der(0x31, encodeExtensions(content));
    const requested = der(0xa0, sequence(identifier("1.2.840.113549.1.9.14"), extensions));
    const info = sequence(number(0), encodeSubject(content.subject), spki, requested);
    const how = isRsa ? { name: "RSASSA-PKCS1-v1_5" } : { name: "ECDSA", hash: hash.name };
    const raw = new Uint8Array(await subtle.sign(how, pair.privateKey, info));
    if (!await subtle.verify(how, pair.publicKey, raw, info)) {
      throw new Error(`the signature in the request ${content.id} is not valid; test the memory of this computer`);
    }
    if (isRsa) return sequence(info, sequence(identifier(hash.rsa), NULL), bits(raw));
    const half = raw.length / 2; // WebCrypto returns the two numbers of the signature one after the other.
    const signature = sequence(integer(raw.subarray(0, half)), integer(raw.subarray(half)));
    return sequence(info, sequence(identifier(hash.ecdsa)), bits(signature));
  }

  /** @param {RequestToMake} content */
  function keyAlgorithm(content) {
    if (content.key_algorithm === "RSA") {
      return { name: "RSASSA-PKCS1-v1_5", modulusLength: content.key_bits,
        publicExponent: Uint8Array.of(1, 0, 1), hash: HASHES[content.hash].name };
    }
    return { name: "ECDSA", namedCurve: `P-${content.key_bits}` };
  }

  /** @param {RequestToMake} content @param {Awaited<ReturnType<typeof deriveKeys>>} keys */
  async function makePair(content, keys) {
    const pair = /** @type {CryptoKeyPair} */ (
      await subtle.generateKey(keyAlgorithm(content), true, ["sign", "verify"]));
    const spki = new Uint8Array(await subtle.exportKey("spki", pair.publicKey));
    const csr = await signRequest(content, pair, spki);
    const pkcs8 = new Uint8Array(await subtle.exportKey("pkcs8", pair.privateKey));
    let key;
    try {
      key = await encryptKey(pkcs8, keys);
    } finally {
      pkcs8.fill(0);
    }
    const csr_sha256 = await sha256(csr), key_sha256 = await sha256(key);
    const bound = utf8([content.id, content.generation, key_sha256, csr_sha256].join("\n"));
    const binding = hex(new Uint8Array(await subtle.sign("HMAC", keys.records, bound)));
    return { key, csr: pem("CERTIFICATE REQUEST", csr), csr_sha256, key_sha256, binding,
      spki_sha256: await sha256(spki) };
  }

  /**
   * Creates keys and CSRs in the order of the requests, as many at a time as the computer has processors.
   * @param {RequestToMake[]} requests @param {Awaited<ReturnType<typeof deriveKeys>>} keys
   * @param {(done: number, total: number) => void} progress
   */
  async function makePairs(requests, keys, progress) {
    /** @type {Awaited<ReturnType<typeof makePair>>[]} */
    const pairs = new Array(requests.length);
    let next = 0, done = 0;
    const work = async () => {
      while (next < requests.length) {
        const here = next++;
        pairs[here] = await makePair(requests[here], keys);
        progress(++done, requests.length);
      }
    };
    await Promise.all(Array.from({ length: navigator.hardwareConcurrency || 2 }, work));
    if (new Set(pairs.map((pair) => pair.spki_sha256)).size < pairs.length) {
      throw new Error("two new keys are equal, because this computer repeats random numbers; use " +
        "another computer");
    }
    return pairs;
  }

  // --- The entry of the record: values that depend on the passphrase replace the placeholders of
  // request_folder_of.py. The name of the entry ends with a hash of its content.

  const ENTRY = /^(record\/.*-)[0-9a-f]{16}(\.json)$/;

  /** @param {string} text @param {string} old @param {string} value */
  function replaceOnce(text, old, value) {
    const parts = text.split(old);
    if (parts.length !== 2) throw new Error("the record does not have the expected format");
    return parts.join(value);
  }

  /**
   * @param {string} entry @param {RequestToMake[]} requests @param {Bytes} salt
   * @param {{key_sha256: string, binding: string}[]} pairs
   */
  function completeEntry(entry, requests, pairs, salt) {
    if (!requests.length) return entry;
    const zeros = "0".repeat(64);
    const made = new Map(requests.map((request, index) => [request.id, pairs[index]]));
    /** @type {Record<string, "binding" | "key_sha256">} */
    const fields = { request: "binding", made: "key_sha256" };
    const lines = entry.split("\n").map((line) => {
      if (!line.startsWith('{"type": ')) return line;
      const event = JSON.parse(line.replace(/,$/, ""));
      const pair = made.get(event.id), field = fields[event.type];
      if (!pair || !field) return line;
      return replaceOnce(line, `"${field}": "${zeros}"`, `"${field}": "${pair[field]}"`);
    });
    const old = `"binding_key": {"salt": "${"00".repeat(salt.length)}"`;
    return replaceOnce(lines.join("\n"), old, `"binding_key": {"salt": "${hex(salt)}"`);
  }

  // --- A ZIP archive without compression (APPNOTE.TXT), with Unix modes and the same date for every file.

  const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value;
  });

  /** @param {Bytes} bytes */
  function crc32(bytes) {
    let value = 0xffffffff;
    for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 255] ^ (value >>> 8);
    return (value ^ 0xffffffff) >>> 0;
  }

  /** @param {number} size @param {number} value */
  const little = (size, value) =>
    Array.from({ length: size }, (_, at) => Math.floor(value / 256 ** at) & 255);
  const MOST = 30_000; // an archive of this format has at most 65,535 entries
  const FILE = 0o100600, FOLDER = 0o040700;
  const MIDNIGHT = little(2, 0), FIRST_DAY = little(2, 0x21); // 1980-01-01, the format's first date

  /** @param {[string, Bytes][]} entries a folder has a name with a slash at the end, and no content */
  function zip(entries) {
    const parts = [], directory = [];
    let offset = 0;
    for (const [path, content] of entries) {
      const name = utf8(path), isFolder = path.endsWith("/");
      const common = [...little(2, isFolder ? 20 : 10), ...little(2, 0x0800), ...little(2, 0),
        ...MIDNIGHT, ...FIRST_DAY, ...little(4, crc32(content)), ...little(4, content.length),
        ...little(4, content.length), ...little(2, name.length), ...little(2, 0)];
      const local = join([little(4, 0x04034b50), common, name]);
      const attributes = (isFolder ? FOLDER : FILE) * 0x10000 + (isFolder ? 0x10 : 0);
      directory.push(join([little(4, 0x02014b50), [20, 3], common, little(2, 0), little(2, 0),
        little(2, 0), little(4, attributes), little(4, offset), name]));
      parts.push(local, content);
      offset += local.length + content.length;
    }
    const list = join(directory);
    const end = [...little(4, 0x06054b50), ...little(4, 0), ...little(2, entries.length),
      ...little(2, entries.length), ...little(4, list.length), ...little(4, offset), ...little(2, 0)];
    return join([...parts, list, end]);
  }

  // --- The passphrase: the rules of check_new_passphrase in pki/passphrase.py.

  /** @param {string} text @param {string[]} known */
  function estimate(text, known) {
    const result = /** @type {any} */ (globalThis).zxcvbn(text, known);
    const why = result.feedback.warning; // without the full stop of the Python version
    return { score: result.score, why: why && `${why.replace(/\.$/, "")}.` };
  }

  /** @param {string | undefined} character */
  const isAlphanumeric = (character) => character !== undefined && /[\p{L}\p{N}]/u.test(character);

  /**
   * Replaces each known word with one space, the longest word first.
   * @param {string[]} text the characters @param {PassphraseRules} rules
   */
  function removeWords(text, rules) {
    const known = new Set(rules.known);
    for (let size = text.length; size > 0; size -= 1) {
      for (let start = 0; start + size <= text.length; start += 1) {
        const end = start + size;
        if (!known.has(text.slice(start, end).join("").toLowerCase())) continue;
        const isPart = isAlphanumeric(text[start - 1]) || isAlphanumeric(text[end]);
        if (size >= rules.within_a_word || !isPart) text.fill(" ", start, end);
      }
    }
    return text.join("").split(/\s+/u).filter(Boolean).join(" ");
  }

  /**
   * Returns what is wrong with a new passphrase, or "". The text never contains the passphrase.
   * @param {string} passphrase @param {PassphraseRules} rules
   */
  function findPassphraseProblem(passphrase, rules) {
    const characters = [...passphrase];
    if (characters.length < rules.least_characters) {
      return rules.too_short.replace("{count}", String(characters.length));
    }
    if (/[\p{Cc}\p{Cs}]/u.test(passphrase)) return rules.not_typed;
    if (utf8(passphrase).length > rules.most_bytes) return rules.too_long;
    const beginning = characters.slice(0, rules.estimated_characters);
    const whole = estimate(beginning.join(""), rules.known);
    if (whole.score < rules.least_score) return rules.too_easy.replace("{why}", whole.why).trim();
    const rest = removeWords([...beginning], rules);
    if (rest === beginning.join("")) return "";
    if (rest && estimate(rest, rules.known).score >= rules.least_score) return "";
    return rules.too_easy.replace("{why}", rules.little_remains);
  }

  /**
   * Creates the keys and CSRs of a plan, and returns a ZIP archive with the complete request folder.
   * @param {object} task
   * @param {UnkeyedFolder} task.contents what `prepare_folder` returned
   * @param {(hashes: PublicHashes) => Promise<Record<string, string>>} task.writeFiles asks the worker
   *   for `build_folder_files`: the base64 of each other file, by its path
   * @param {string} task.passphrase
   * @param {(done: number, total: number) => void} [task.progress]
   * @param {string} [task.name] the name of the folder in the archive
   */
  async function makeRequestZip(task) {
    const { contents, writeFiles, passphrase, progress = () => {}, name = "requests" } = task;
    if (contents.requests.length > MOST) {
      throw new Error(`an archive can contain at most ${MOST} requests; use lyncnb request for this plan`);
    }
    const problem = findPassphraseProblem(passphrase, contents.passphrase);
    if (problem) throw new Error(`the passphrase ${problem}`);
    const { requests } = contents;
    const keys = await deriveKeys(passphrase, contents.derivation);
    const pairs = await makePairs(requests, keys, progress);
    /** @type {PublicHashes} */
    const hashes = {};
    requests.forEach(({ id }, index) => {
      const { csr_sha256, spki_sha256 } = pairs[index];
      hashes[id] = { csr_sha256, spki_sha256 };
    });
    const none = new Uint8Array();
    /** @type {[string, Bytes][]} */
    const entries = [[`${name}/`, none]];
    /** @param {string} path @param {Bytes} content */
    const add = (path, content) => entries.push([`${name}/${path}`, content]);
    for (const [path, text] of Object.entries(await writeFiles(hashes))) {
      const content = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
      const parts = path.match(ENTRY);
      if (!parts) {
        add(path, content);
      } else {
        add("record/", none);
        const entry = utf8(completeEntry(new TextDecoder().decode(content), requests, pairs, keys.salt));
        add(`${parts[1]}${(await sha256(entry)).slice(0, 16)}${parts[2]}`, entry);
      }
    }
    // The names of build_file_stem in request_folder/request_record.py.
    const stems = requests.map(({ id }, index) => `${id}-${pairs[index].spki_sha256.slice(0, 8)}`);
    add("csr/", none);
    stems.forEach((stem, index) => add(`csr/${stem}.csr`, pairs[index].csr));
    add("keys/", none);
    stems.forEach((stem, index) => add(`keys/${stem}.key`, pairs[index].key));
    return zip(entries);
  }

  return { makeRequestZip, findPassphraseProblem };
})();
