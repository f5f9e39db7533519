import assert from "node:assert/strict";
import crypto from "node:crypto";
import { after, test } from "node:test";
import { webHostOp } from "../../runtime/sandbox/process/web-host.ts";
import { createWebContext } from "./web-context.ts";

const web = await createWebContext(`
  globalThis.hex = (buffer) => new Uint8Array(buffer).toHex();
  globalThis.unhex = (text) => Uint8Array.fromHex(text);
  globalThis.utf8 = (text) => new TextEncoder().encode(text);`);
after(() => web.dispose());

test("digests are Node's", async () => {
  for (const [name, algorithm] of [
    ["sha1", "SHA-1"],
    ["sha256", "sha-256"],
    ["sha384", "SHA-384"],
    ["sha512", "SHA-512"],
  ] as const) {
    assert.equal(
      await web.run(`return hex(await crypto.subtle.digest({ name: "${algorithm}" }, utf8("häsh")))`),
      crypto.createHash(name).update("häsh").digest("hex"),
    );
  }
});

test("HMAC signs and verifies; another key, text or length does not", async () => {
  const found = await web.run(`
    const key = await crypto.subtle.importKey("raw", utf8("secret"), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
    const other = await crypto.subtle.importKey("jwk", { kty: "oct", k: "c2VjcmV0MQ", alg: "HS256" }, { name: "HMAC", hash: { name: "SHA-256" } }, true, ["verify"]);
    const signature = await crypto.subtle.sign("HMAC", key, utf8("text"));
    return [hex(signature), await crypto.subtle.verify("HMAC", key, signature, utf8("text")), await crypto.subtle.verify("HMAC", key, signature, utf8("texu")),
      await crypto.subtle.verify("HMAC", key, signature.slice(1), utf8("text")), await crypto.subtle.verify("HMAC", other, signature, utf8("text")),
      await crypto.subtle.exportKey("raw", key).catch((error) => error.name), (await crypto.subtle.exportKey("jwk", other)).k]`);
  assert.deepEqual(found, [crypto.createHmac("sha256", "secret").update("text").digest("hex"), true, false, false, false, "InvalidAccessError", "c2VjcmV0MQ"]);
});

interface Scheme {
  readonly name: string;
  readonly keys: { readonly publicKey: crypto.KeyObject; readonly privateKey: crypto.KeyObject };
  readonly imported: string;
  readonly used: string;
  readonly sign: (key: crypto.KeyObject, data: Buffer) => Buffer;
}
const data = Buffer.from("signed text");
const schemes: readonly Scheme[] = [
  {
    name: "RSASSA-PKCS1-v1_5",
    keys: crypto.generateKeyPairSync("rsa", { modulusLength: 2048 }),
    imported: `{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }`,
    used: `"RSASSA-PKCS1-v1_5"`,
    sign: (key, text) => crypto.sign("sha256", text, key),
  },
  {
    name: "RSA-PSS",
    keys: crypto.generateKeyPairSync("rsa", { modulusLength: 2048 }),
    imported: `{ name: "RSA-PSS", hash: "SHA-384" }`,
    used: `{ name: "RSA-PSS", saltLength: 48 }`,
    sign: (key, text) => crypto.sign("sha384", text, { key, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }),
  },
  {
    name: "ECDSA",
    keys: crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }),
    imported: `{ name: "ECDSA", namedCurve: "P-256" }`,
    used: `{ name: "ECDSA", hash: "SHA-256" }`,
    sign: (key, text) => crypto.sign("sha256", text, { key, dsaEncoding: "ieee-p1363" }),
  },
  { name: "Ed25519", keys: crypto.generateKeyPairSync("ed25519"), imported: `"Ed25519"`, used: `"Ed25519"`, sign: (key, text) => crypto.sign(null, text, key) },
];

for (const { name, keys, imported, used, sign } of schemes) {
  test(`${name}: Node's signatures verify by SPKI and JWK, a changed one does not`, async () => {
    const spki = keys.publicKey.export({ format: "der", type: "spki" }).toString("hex");
    const jwk = JSON.stringify(keys.publicKey.export({ format: "jwk" }));
    const signature = sign(keys.privateKey, data).toString("hex");
    const found = await web.run(`
      const spki = await crypto.subtle.importKey("spki", unhex("${spki}"), ${imported}, true, ["verify"]);
      const jwk = await crypto.subtle.importKey("jwk", ${jwk}, ${imported}, true, ["verify"]);
      const signature = unhex("${signature}"); const data = unhex("${data.toString("hex")}");
      const wrong = signature.slice(); wrong[wrong.length >> 1] ^= 1;
      return [await crypto.subtle.verify(${used}, spki, signature, data), await crypto.subtle.verify(${used}, jwk, signature, data), await crypto.subtle.verify(${used}, spki, wrong, data),
        await crypto.subtle.verify(${used}, spki, new Uint8Array(0), data), await crypto.subtle.verify(${used}, spki, signature, utf8("other")), spki.type, hex(await crypto.subtle.exportKey("spki", jwk)) === "${spki}"]`);
    assert.deepEqual(found, [true, true, false, false, false, "public", true]);
  });
}

test("what is not supported or does not fit is a DOMException with the standard's name", async () => {
  const found = await web.run(`
    const ec = ${JSON.stringify(schemes[2]!.keys.publicKey.export({ format: "jwk" }))};
    const name = (promise) => promise.then(() => "done", (error) => (error instanceof DOMException && error instanceof Error ? error.name : String(error)));
    return Promise.all([
      name(crypto.subtle.digest("MD5", utf8(""))), name(crypto.subtle.encrypt("AES-GCM", null, null)),
      name(crypto.subtle.importKey("raw", utf8(""), { name: "HMAC", hash: "SHA-256" }, true, ["sign"])),
      name(crypto.subtle.importKey("jwk", ec, "Ed25519", true, ["verify"])), name(crypto.subtle.importKey("jwk", ec, { name: "ECDSA", namedCurve: "P-384" }, true, ["verify"])),
      name(crypto.subtle.importKey("spki", utf8("rubbish"), "Ed25519", true, ["verify"])), name(crypto.subtle.importKey("jwk", { ...ec, d: "AA" }, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"])),
      name(crypto.subtle.importKey("raw", utf8("k"), { name: "HMAC", hash: "SHA-256" }, true, ["encrypt"])),
      name(crypto.subtle.importKey("raw", utf8("k"), { name: "HMAC", hash: "SHA-256" }, true, ["verify"]).then((key) => crypto.subtle.sign("HMAC", key, utf8("")))),
    ])`);
  assert.deepEqual(found, [
    ...["NotSupportedError", "NotSupportedError", "DataError", "DataError", "DataError", "DataError", "NotSupportedError", "SyntaxError", "InvalidAccessError"],
  ]);
});

test("a key's material can't be reached from the class", async () => {
  assert.deepEqual(await web.run(`return Object.getOwnPropertyNames(CryptoKey).sort()`), ["length", "name", "prototype"]);
});

test("random values fill integers of every kind, and UUIDs are of version 4", async () => {
  const found = (await web.run(`
    const floats = (() => { try { crypto.getRandomValues(new Float64Array(1)) } catch (error) { return error.name } })();
    const many = (() => { try { crypto.getRandomValues(new Uint8Array(65537)) } catch (error) { return error.name } })();
    const words = crypto.getRandomValues(new Uint32Array(4));
    return [floats, many, words.every((word) => word > 0), crypto.randomUUID()]`)) as unknown[];
  assert.deepEqual(found.slice(0, 3), ["TypeMismatchError", "QuotaExceededError", true]);
  assert.match(String(found[3]), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("the host half never throws and tells nothing about the host", () => {
  const hostile: [string, string, string, string][] = [
    ["url", "\ud800", "", ""],
    ["url", "x".repeat(9 * 1024 * 1024), "", ""],
    ["url.set", "http://a/", "__proto__", "x"],
    ["digest", "constructor", "", ""],
    ["digest", "__proto__", "", ""],
    ["hmac", "SHA-256\0", "k", "d"],
    ["key", "jwk", "{", ""],
    ["key", "jwk", "null", ""],
    ["key", "spki", "\xff".repeat(100), ""],
    ["key", "toString", "", ""],
    ["verify", "", "", ""],
    ["verify", "{}", "", ""],
    ["verify", '{"name":"ECDSA","hash":"SHA-256","spki":"x"}', "", ""],
    ["eval", "1", "", ""],
    [{} as string, [] as unknown as string, null as unknown as string, undefined as unknown as string],
  ];
  for (const [op, a, b, c] of hostile) {
    const reply = webHostOp(op, a, b, c);
    assert.match(reply, /^![A-Za-z]+:[^/\\]*$/, `${op} ${String(a).slice(0, 20)} gave ${reply.slice(0, 100)}`);
  }
});
