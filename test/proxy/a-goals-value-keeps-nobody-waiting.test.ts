import assert from "node:assert/strict";
import { test } from "node:test";
import { type BodySink, type BodySource, bodyOf } from "../../runtime/proxy/exchange.ts";
import { OverheardBody } from "../../runtime/proxy/overheard-body.ts";
import { SlowBody } from "../support/slow-body.ts";

/** As an origin that heeds who asks it to wait. */
class Origin extends SlowBody {
  give(text: string): void {
    if (!this.send(text)) this.paused = true;
  }
}

/** What it took, and what was heard, in the order in which they happened. */
class Client implements BodySink {
  readonly story: string[] = [];
  takes = true;
  chunk(bytes: Buffer): boolean {
    this.story.push(bytes.toString());
    return this.takes;
  }
  end(): void {
    this.story.push("end");
  }
  error(): void {
    this.story.push("error");
  }
}

function overheard(origin: BodySource, { limitBytes = 100, slow = null as Promise<void> | null } = {}): { body: OverheardBody; client: Client } {
  const client = new Client();
  const body = new OverheardBody(origin, limitBytes, (whole) => {
    client.story.push(`heard ${String(whole)}`);
    return slow;
  });
  return { body, client };
}

test("each piece goes on as it comes; it is heard before the last of it has gone", () => {
  const origin = new Origin();
  const { body, client } = overheard(origin);
  body.read(client);
  origin.give('{"total"');
  assert.deepEqual(client.story, ['{"total"'], "nobody waits for the rest");
  origin.give(":1}");
  origin.end();
  assert.deepEqual(client.story, ['{"total"', ":1}", 'heard {"total":1}', "end"]);

  const known = new Origin(5);
  const second = overheard(known);
  second.body.read(second.client);
  known.give("ab");
  known.give("cde");
  known.end();
  assert.deepEqual(second.client.story, ["ab", "heard abcde", "cde", "end"], "with a length the client knows by the last byte that it has all");

  const whole = overheard(bodyOf(Buffer.from("all")));
  whole.body.read(whole.client);
  assert.deepEqual(whole.client.story, ["heard all", "all", "end"]);
});

test("while it is decoded only the last piece stays", async () => {
  const decoded = Promise.withResolvers<void>();
  const origin = new Origin(4);
  const { body, client } = overheard(origin, { slow: decoded.promise });
  body.read(client);
  origin.give("ab");
  origin.give("cd");
  origin.end();
  assert.deepEqual(client.story, ["ab", "heard abcd"]);
  decoded.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(client.story, ["ab", "heard abcd", "cd", "end"]);
});

test("a client that reads slowly holds up nobody who hears, and loses nothing; beyond the limit the origin waits for it", () => {
  const origin = new Origin();
  const { body, client } = overheard(origin, { limitBytes: 6 });
  body.read(client);
  client.takes = false;
  origin.give("ab");
  origin.give("cd");
  assert.deepEqual([client.story, origin.paused], [["ab"], false]);
  origin.give("efg");
  assert.deepEqual([client.story, origin.paused], [["ab", "heard null"], true]);
  client.takes = true;
  body.resume();
  assert.deepEqual([client.story.slice(2), origin.paused], [["cd", "efg"], false]);
  origin.give("h");
  origin.end();
  assert.deepEqual(client.story.slice(4), ["h", "end"]);
});

test("a body that breaks off, and a client that leaves, are heard as nothing, once", () => {
  const origin = new Origin();
  const broken = overheard(origin);
  broken.body.read(broken.client);
  origin.give("ab");
  origin.tear();
  assert.deepEqual(broken.client.story, ["ab", "heard null", "error"]);

  const left = new Origin();
  const leaving = overheard(left);
  leaving.body.read(leaving.client);
  left.give("ab");
  leaving.body.cancel();
  leaving.body.cancel();
  assert.deepEqual([leaving.client.story, left.cancelled], [["ab", "heard null"], true]);
});
