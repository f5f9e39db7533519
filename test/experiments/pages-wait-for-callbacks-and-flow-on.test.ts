import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";
import { html } from "../../sdk/html.ts";
import type { HtmlEdit } from "../../sdk/html.ts";
import { type AskElements, compileEdits, type ElementAnswers, editHtml, type PageCoding } from "../../runtime/experiments/edits/edits.ts";
import { GatewayError } from "../../runtime/errors.ts";
import type { BodySource } from "../../runtime/proxy/exchange.ts";
import { beginBody } from "../../runtime/proxy/begun-body.ts";
import { Origin, readAll } from "./flowing-bodies.ts";

const EDITS = compileEdits([{ kind: "callback", selector: "b", rule: 0, handler: 0 }]);
const PAGE = `<!doctype html><body>${`<b>x</b>${"<p>some text</p>".repeat(100)}`.repeat(30)}</body>`;
const EDITED = PAGE.replaceAll("<b>x</b>", "<b>y</b>");
const answers = (count: number): ElementAnswers => Array.from({ length: count }, () => [[html.setText("*", "y")] as readonly HtmlEdit[]]);

/** Answers when the test says so. */
class Rule {
  readonly waiting: PromiseWithResolvers<ElementAnswers>[] = [];
  asked = 0;
  readonly ask: AskElements = (elements) => {
    const one = Promise.withResolvers<ElementAnswers>();
    this.waiting.push(one);
    this.asked = elements.length;
    return one.promise;
  };
  answer(): void {
    this.waiting.shift()!.resolve(answers(this.asked));
  }
}
const atOnce: AskElements = (elements) => Promise.resolve(answers(elements.length));

for (const [coding, code, undo] of [
  ["identity", (bytes: Buffer) => bytes, (bytes: Buffer) => bytes],
  ["gzip", gzipSync, gunzipSync],
  ["br", brotliCompressSync, brotliDecompressSync],
] as const satisfies readonly (readonly [PageCoding, (bytes: Buffer) => Buffer, (bytes: Buffer) => Buffer])[]) {
  test(`${coding}: pages come out whole, also for a reader that pauses after each piece`, async () => {
    for (const size of [100, 5000, 200_000]) {
      for (const slowly of [false, true]) {
        const body = editHtml(new Origin(code(Buffer.from(PAGE)), size), EDITS, { coding, ask: atOnce });
        assert.equal(undo(await readAll(body, slowly)).toString(), EDITED, `pieces of ${size}`);
      }
    }
  });
}

test("while a rule thinks, the origin waits, and so does what the reader asks for", async () => {
  const rule = new Rule();
  const origin = new Origin(Buffer.from(PAGE), 1000);
  const body = editHtml(origin, EDITS, { ask: rule.ask });
  let text = "";
  const ended = new Promise<void>((resolve, reject) =>
    body.read({ chunk: (bytes) => ((text += bytes.toString()), true), end: () => resolve(), error: reject }),
  );
  assert.deepEqual([origin.givenBytes, text, rule.waiting.length], [1000, "", 1]);
  body.pause();
  body.resume();
  assert.equal(origin.givenBytes, 1000, "a reader that is ready again hurries nobody");
  body.pause();
  rule.answer();
  await new Promise(setImmediate);
  assert.deepEqual([origin.givenBytes, text], [1000, ""], "a paused reader gets nothing");
  body.resume();
  assert.ok(text.includes("<b>y</b>"));
  while (rule.waiting.length > 0) {
    rule.answer();
    await new Promise(setImmediate);
  }
  await ended;
  assert.equal(text, EDITED);
});

for (const coding of ["identity", "gzip"] as const) {
  test(`${coding}: a rule that refuses breaks the page off, and the origin is let go`, async () => {
    // Much that can't be packed, so that the origin is not through by then.
    const bytes = Buffer.from(PAGE + randomBytes(500_000).toString("hex"));
    const origin = new Origin(coding === "gzip" ? gzipSync(bytes) : bytes, 60);
    const refusal = new GatewayError("RULE_THREW", "not this page");
    await assert.rejects(readAll(editHtml(origin, EDITS, { coding, ask: () => Promise.reject(refusal) })), refusal);
    assert.ok(origin.cancelled);
  });
}

test("a reader that leaves while a rule thinks, and an origin that breaks off then, are no trouble", async () => {
  const rule = new Rule();
  const left = new Origin(Buffer.from(PAGE), 1000);
  const body = editHtml(left, EDITS, { ask: rule.ask });
  body.read({ chunk: () => assert.fail("nobody reads"), end: () => assert.fail("nobody reads"), error: () => assert.fail("nobody reads") });
  body.cancel();
  rule.answer();
  await new Promise(setImmediate);
  assert.ok(left.cancelled);

  const broken = new GatewayError("UPSTREAM_RESET", "gone");
  const source: BodySource = { ...idle, read: (sink) => (sink.chunk(Buffer.from("<b>x</b>")), sink.error(broken)) };
  const reading = readAll(editHtml(source, EDITS, { ask: rule.ask }));
  rule.answer();
  await assert.rejects(reading, broken);
});

test("an origin that ends while a rule thinks has its page ended after the answer", async () => {
  const rule = new Rule();
  const source: BodySource = { ...idle, read: (sink) => (sink.chunk(Buffer.from("<b>x</b> <")), sink.end(null)) };
  const reading = readAll(editHtml(source, EDITS, { ask: rule.ask }));
  rule.answer();
  assert.equal((await reading).toString(), "<b>y</b> <");
});

test("a page is begun before its head leaves: what fails at once is still an answer of its own", async () => {
  const refusal = new GatewayError("RULE_THREW", "not this page");
  const failing = editHtml(new Origin(Buffer.from(PAGE), 1000), EDITS, { ask: () => Promise.reject(refusal) });
  await assert.rejects(beginBody(failing), refusal);
  for (const slowly of [false, true]) {
    const begun = await beginBody(editHtml(new Origin(Buffer.from(PAGE), 1000), EDITS, { ask: atOnce }));
    assert.equal((await readAll(begun, slowly)).toString(), EDITED);
  }
  const empty: BodySource = { ...idle, read: (sink) => sink.end(null) };
  assert.equal((await readAll(await beginBody(empty))).toString(), "");
  const cut: BodySource = { ...idle, read: (sink) => (sink.chunk(Buffer.from("a")), sink.error(refusal)) };
  await assert.rejects(readAll(await beginBody(cut)), refusal);
});

const idle: BodySource = { length: -1, read: () => undefined, pause: () => undefined, resume: () => undefined, cancel: () => undefined };
