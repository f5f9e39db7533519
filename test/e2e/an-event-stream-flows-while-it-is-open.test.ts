import assert from "node:assert/strict";
import { test } from "node:test";
import { openShop } from "./open-shop.ts";

const shop = await openShop();

test("each event arrives when it is sent, not when the stream ends", async () => {
  const leave = new AbortController();
  const answer = await fetch(`${shop.url}/events`, { signal: AbortSignal.any([leave.signal, AbortSignal.timeout(20_000)]) });
  assert.equal(answer.headers.get("content-type"), "text/event-stream");
  const text = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let received = "";
  while (received.split("\n\n").length <= 3) {
    const { value, done } = await text.read();
    assert.equal(done, false, "the stream has no end");
    received += value;
  }
  assert.match(received, /^id: 1\nevent: sold\ndata: \{"product":"Ferry mug"/);
  assert.match(received, /\n\nid: 3\n/);
  leave.abort();
});
