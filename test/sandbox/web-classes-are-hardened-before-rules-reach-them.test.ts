import assert from "node:assert/strict";
import { test } from "node:test";
import ivm from "isolated-vm";
import { webBundle } from "./web-context.ts";

test("each class is handed to the hardener before anything can reach it, the lazy ones too", async () => {
  const isolate = new ivm.Isolate({ memoryLimit: 64 });
  const context = isolate.createContextSync();
  context.evalSync(await webBundle());
  const found = context.evalSync(
    `
    const hardened = new Set();
    web.installWeb(globalThis, { sync: () => "!", randomByte: () => 128, now: () => 0, timer: () => () => {} }, (value) => hardened.add(value));
    const early = hardened.size;
    // Through an instance, without naming the class.
    const viaInstance = hardened.has(new Response("x").body.constructor);
    const names = ["AbortController", "AbortSignal", "Blob", "CryptoKey", "DOMException", "Event", "EventTarget", "File", "FormData", "Headers", "ReadableStream", "Request", "Response",
      "SubtleCrypto", "TextDecoder", "TextEncoder", "TransformStream", "URL", "URLPattern", "URLSearchParams", "WritableStream", "atob", "btoa", "crypto", "performance", "queueMicrotask", "structuredClone"];
    JSON.stringify([early >= 20, viaInstance, names.filter((name) => !hardened.has(globalThis[name])), hardened.has(crypto.subtle), URL.name, ReadableStream.name])`,
    { copy: true },
  ) as string;
  assert.deepEqual(JSON.parse(found), [true, true, [], true, "URL", "ReadableStream"]);
  isolate.dispose();
});

test("the lazy ones work on a frozen global", async () => {
  const isolate = new ivm.Isolate({ memoryLimit: 64 });
  const context = isolate.createContextSync();
  context.evalSync(await webBundle());
  const found = context.evalSync(`
    web.installWeb(globalThis, { sync: () => "!", randomByte: () => 128, now: () => 0, timer: () => () => {} });
    for (const name of ["ReadableStream", "crypto"]) Object.defineProperty(globalThis, name, { configurable: false });
    JSON.stringify([typeof ReadableStream, ReadableStream === ReadableStream, typeof crypto.randomUUID(), typeof structuredClone])`) as string;
  assert.deepEqual(JSON.parse(found), ["function", true, "string", "function"]);
  isolate.dispose();
});
