import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createWebContext } from "./web-context.ts";

const web = await createWebContext();
after(() => web.dispose());

test("an aborted signal tells its listeners once, with its reason", async () => {
  const found = await web.run(`
    const controller = new AbortController(); const seen = [];
    controller.signal.onabort = () => seen.push("onabort");
    controller.signal.addEventListener("abort", (event) => seen.push(event.type, event.target === controller.signal), { once: true });
    const any = AbortSignal.any([controller.signal, new AbortController().signal]);
    any.addEventListener("abort", () => seen.push("any", any.reason === controller.signal.reason));
    controller.abort(); controller.abort("again");
    let thrown; try { any.throwIfAborted() } catch (error) { thrown = [error.name, error.code, error instanceof DOMException] }
    return [seen, thrown, AbortSignal.abort("why").reason, AbortSignal.any([AbortSignal.abort(1)]).aborted]`);
  assert.deepEqual(found, [["onabort", "abort", true, "any", true], ["AbortError", 20, true], "why", true]);
});

test("AbortSignal.timeout aborts when its time has come, not before", async () => {
  await web.run(`globalThis.signal = AbortSignal.timeout(50)`);
  web.advance(49);
  assert.equal(await web.run(`return signal.aborted`), false);
  web.advance(1);
  assert.deepEqual(await web.run(`return [signal.aborted, signal.reason.name]`), [true, "TimeoutError"]);
});

test("events: once, remove, signal, handleEvent, preventDefault, stopImmediatePropagation", async () => {
  const found = await web.run(`
    const target = new EventTarget(); const seen = []; const controller = new AbortController();
    const removed = () => seen.push("removed");
    target.addEventListener("x", removed); target.removeEventListener("x", removed);
    target.addEventListener("x", () => seen.push("gone"), { signal: controller.signal }); controller.abort();
    target.addEventListener("x", () => seen.push("once"), { once: true });
    target.addEventListener("x", { handleEvent(event) { seen.push("object"); event.preventDefault() } });
    target.addEventListener("x", (event) => event.stopImmediatePropagation());
    target.addEventListener("x", () => seen.push("never"));
    const first = target.dispatchEvent(new Event("x", { cancelable: true }));
    const second = target.dispatchEvent(new CustomEvent("x", { detail: 1 }));
    return [seen, first, second, new CustomEvent("y", { detail: [1] }).detail]`);
  assert.deepEqual(found, [["once", "object", "object"], false, true, [1]]);
});

test("UTF-8 is encoded and decoded as the standard says, in one piece and in many", async () => {
  const samples = ["", "plain", "é€😀", "\ud800lone", "\ufeffmark", "😀".repeat(5000)];
  const broken = [
    [0xff],
    [0xc0, 0x80],
    [0xe2, 0x82],
    [0xf0, 0x9f, 0x98],
    [0xed, 0xa0, 0x80],
    [0xe2, 0x41],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf0, 0x80, 0x80, 0x41],
    [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, 0x41],
  ];
  const found = (await web.run(`
    const samples = ${JSON.stringify(samples)}; const broken = ${JSON.stringify(broken)};
    const inPieces = (bytes) => { const decoder = new TextDecoder(); let text = ""; for (const byte of bytes) text += decoder.decode(new Uint8Array([byte]), { stream: true }); return text + decoder.decode() };
    return [samples.map((text) => Array.from(new TextEncoder().encode(text))), broken.map((bytes) => new TextDecoder().decode(new Uint8Array(bytes))), broken.map(inPieces),
      broken.map((bytes) => { try { new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(bytes)); return "read" } catch (error) { return error instanceof TypeError } })]`)) as unknown[];
  const decoded = broken.map((bytes) => new TextDecoder().decode(new Uint8Array(bytes)));
  assert.deepEqual(
    found[0],
    samples.map((text) => Array.from(new TextEncoder().encode(text))),
  );
  assert.deepEqual(found[1], decoded);
  assert.deepEqual(found[2], decoded);
  assert.deepEqual(found[3], [true, true, true, true, true, true, true, true, "read"]);
});

test("encodeInto writes whole characters only; ignoreBOM keeps the mark; other encodings", async () => {
  const found = await web.run(`
    const bytes = new Uint8Array(4); const into = new TextEncoder().encodeInto("a€😀", bytes);
    const utf16 = new TextDecoder("utf-16"); const mark = new Uint8Array([0xef, 0xbb, 0xbf, 0x41]);
    let unknown; try { new TextDecoder("shift_jis") } catch (error) { unknown = error instanceof RangeError }
    return [into, [...bytes], new TextDecoder("utf8", { ignoreBOM: true }).decode(mark).length, new TextDecoder().decode(mark),
      utf16.encoding, utf16.decode(new Uint8Array([0x3d, 0xd8]), { stream: true }) + utf16.decode(new Uint8Array([0x00, 0xde, 0x41])), new TextDecoder(" Latin1 ").decode(new Uint8Array([0xe4, 0x80])), unknown]`);
  assert.deepEqual(found, [{ read: 2, written: 4 }, [97, 0xe2, 0x82, 0xac], 2, "A", "utf-16le", "😀\ufffd", "ä€", true]);
});

test("atob forgives what the standard forgives, and nothing more", async () => {
  const found = await web.run(`
    const attempt = (run) => { try { return run() } catch (error) { return error instanceof DOMException ? error.name : String(error) } };
    return [btoa("\\x00\\xff"), atob(" AP 8\\n"), ["A", "AB=", "AB===", "A-_A", "=", "ABC=D"].map((text) => attempt(() => atob(text))), attempt(() => btoa("\\u0100")), atob("AB"), atob("")]`);
  assert.deepEqual(found, ["AP8=", "\0\xff", Array.from({ length: 6 }, () => "InvalidCharacterError"), "InvalidCharacterError", "\0", ""]);
});

test("structuredClone copies cycles, collections, errors and buffers; functions are refused", async () => {
  const found = await web.run(`
    const value = { date: new Date(5), map: new Map([[1, { a: 1 }]]), set: new Set([1]), regexp: /a/gi, list: [1, , 3], error: new RangeError("why", { cause: 1 }), bytes: new Uint8Array([1, 2, 3]).subarray(1), big: 1n, nothing: undefined };
    value.self = value;
    const copy = structuredClone(value);
    const buffer = new ArrayBuffer(8); const moved = structuredClone(buffer, { transfer: [buffer] });
    const refused = [() => {}, Symbol("s"), { deep: { f() {} } }, new Response(), Promise.resolve()].map((bad) => { try { structuredClone(bad); return "cloned" } catch (error) { return error instanceof DOMException && error.name } });
    let nested = []; for (let i = 0; i < 100000; i++) nested = [nested];
    let deep; try { structuredClone(nested) } catch (error) { deep = error.name }
    return [copy !== value, copy.self === copy, copy.date.getTime(), copy.map.get(1).a, copy.map.get(1) !== value.map.get(1), copy.set.has(1), String(copy.regexp), 1 in copy.list, copy.list.length,
      copy.error instanceof RangeError, copy.error.message, copy.error.cause, [...copy.bytes], String(copy.big), "nothing" in copy, buffer.byteLength, moved.byteLength, refused, deep]`);
  const refused = Array.from({ length: 5 }, () => "DataCloneError");
  assert.deepEqual(found, [true, true, 5, 1, true, true, "/a/gi", false, 3, true, "why", 1, [2, 3], "1", true, 0, 8, refused, "DataCloneError"]);
});

test("queueMicrotask runs before the next await goes on; performance.now starts at 0", async () => {
  assert.deepEqual(
    await web.run(`const seen = []; queueMicrotask(() => seen.push(1)); seen.push(0); await null; await null; return [seen, performance.now()]`),
    [[0, 1], 0],
  );
});

test("a DOMException has its name, its code and its place among errors", async () => {
  assert.deepEqual(
    await web.run(
      `const e = new DOMException("m", "NotFoundError"); return [e.name, e.code, e.message, e instanceof Error, DOMException.NOT_FOUND_ERR, e.INVALID_STATE_ERR, DOMException.URL_MISMATCH_ERR, String(e), typeof e.stack]`,
    ),
    [...["NotFoundError", 8, "m", true, 8, 11, 21, "NotFoundError: m", "string"]],
  );
});
