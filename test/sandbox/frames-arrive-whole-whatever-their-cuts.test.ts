import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test, type TestContext } from "node:test";
import { FrameLink, type FrameEvents } from "../../runtime/sandbox/frames.ts";

async function connected(t: TestContext, events: Partial<FrameEvents>): Promise<{ link: FrameLink; other: net.Socket }> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const mine = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  const [[other]] = (await Promise.all([once(server, "connection"), once(mine, "connect")])) as [[net.Socket], unknown];
  const link = new FrameLink(mine, { frame: () => undefined, broken: () => undefined, closed: () => undefined, ...events });
  t.after(() => {
    link.close();
    other.destroy();
    server.close();
  });
  return { link, other };
}

function frameOf(text: string, encoding = 0): Buffer {
  const payload = Buffer.from(text, encoding === 0 ? "latin1" : "utf16le");
  const head = Buffer.alloc(5);
  head.writeUInt32LE(payload.length);
  head[4] = encoding;
  return Buffer.concat([head, payload]);
}

test("cut after every byte, and several in one piece", async (t) => {
  const texts = ["", "a", "caf\xe9".repeat(3), "x".repeat(300_000), "日本"];
  const seen: string[] = [];
  const all = Promise.withResolvers<void>();
  const { other } = await connected(t, {
    frame: (text) => {
      seen.push(text);
      if (seen.length === texts.length * 2) all.resolve();
    },
  });
  const bytes = Buffer.concat(texts.map((text, index) => frameOf(text, index === 4 ? 1 : 0)));
  other.setNoDelay(true);
  other.write(bytes);
  const { length } = bytes;
  for (let at = 0; at < length; at += at < 64 || at > length - 64 ? 1 : 50_000) {
    const end = Math.min(length, at + (at < 64 || at > length - 64 ? 1 : 50_000));
    await new Promise<void>((resolve) => void other.write(bytes.subarray(at, end), () => setImmediate(resolve)));
  }
  await all.promise;
  assert.deepEqual(seen, [...texts, ...texts]);
});

test("one turn's records leave as one frame, in Latin-1 when they fit and UTF-16 when they don't", async (t) => {
  const { link, other } = await connected(t, {});
  const chunks: Buffer[] = [];
  let wanted = frameOf("onetwo\xff").length;
  const first = Promise.withResolvers<void>();
  other.on("data", (bytes) => {
    chunks.push(bytes as Buffer);
    if (Buffer.concat(chunks).length >= wanted) first.resolve();
  });
  link.send("one");
  link.send("two\xff");
  await first.promise;
  assert.deepEqual(Buffer.concat(chunks), frameOf("onetwo\xff"));
  chunks.length = 0;
  wanted = frameOf("日\u010a", 1).length;
  const second = Promise.withResolvers<void>();
  other.on("data", () => {
    if (Buffer.concat(chunks).length >= wanted) second.resolve();
  });
  link.send("日\u010a");
  await second.promise;
  assert.deepEqual(Buffer.concat(chunks), frameOf("日\u010a", 1));
});

test("an oversize length or an unknown encoding breaks the link", async (t) => {
  for (const head of [Buffer.from([255, 255, 255, 127, 0]), Buffer.from([1, 0, 0, 0, 2, 65])]) {
    const broken = Promise.withResolvers<string>();
    const { other } = await connected(t, { broken: broken.resolve });
    other.write(head.subarray(0, 3));
    other.write(head.subarray(3));
    assert.match(await broken.promise, /a frame of/);
  }
});
