/** Buffers of written pieces serve again: whoever breaks off, waits or is slow in between, no body may come to hold a byte of another one. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { openCore } from "./core-in-between.ts";

const BODIES = 72;
const AT_ONCE = 12;
/** More than the kernel takes on loopback for a reader who waits, so that pieces wait in the gateway. */
const BYTES = 12_000_000;

/** Every eight bytes say whose they are. */
function bodyOf(id: number): Buffer {
  return Buffer.alloc(BYTES + 8 * id, String(id).padStart(8, "0"));
}

/** How much came until the end or the break, which must be what body `id` begins with. `breakAt`: breaks off itself; `waitAt`: does not read for a while. */
async function read(id: number, source: http.IncomingMessage, { breakAt = Infinity, waitAt = Infinity, wait = Promise.resolve() } = {}): Promise<number> {
  const expected = bodyOf(id);
  let got = 0;
  let waited = false;
  try {
    for await (const piece of source as AsyncIterable<Buffer>) {
      assert.ok(expected.compare(piece, 0, piece.length, got, got + piece.length) === 0, `body ${id}: other bytes between ${got} and ${got + piece.length}`);
      got += piece.length;
      if (got >= breakAt) source.destroy();
      if (got >= waitAt && !waited) {
        waited = true;
        await wait;
      }
    }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    assert.match((error as NodeJS.ErrnoException).code ?? String(error), /^(ECONNRESET|ERR_STREAM_PREMATURE_CLOSE)$/);
  }
  return got;
}

test("bodies of 12 MB both ways, some broken off on either side, some not read for a while", async (t) => {
  const uploads: Promise<void>[] = [];
  /** Those that wait go on when so many others have come since, or none will be begun. */
  let done = 0;
  let next = 0;
  const waiting: { readonly after: number; readonly go: () => void }[] = [];
  const others = (count: number): Promise<void> => (next >= BODIES ? Promise.resolve() : new Promise((go) => void waiting.push({ after: done + count, go })));
  const waits = (id: number): { waitAt?: number; wait?: Promise<void> } => (id % 3 === 0 ? { waitAt: 100_000, wait: others(AT_ONCE / 2) } : {});
  const server = http.createServer((request, response) => {
    const id = Number(request.url!.slice(1));
    response.on("error", () => response.destroy());
    if (request.method === "PUT") {
      const breakAt = id % 6 === 1 ? BYTES / 3 : Infinity;
      uploads.push(read(id, request, { breakAt, ...waits(id) }).then((bytes) => void (response.destroyed || response.end(String(bytes)))));
      return;
    }
    const body = bodyOf(id);
    if (id % 4 === 0) response.setHeader("content-length", body.length);
    if (id % 5 === 3) response.write(body.subarray(0, BYTES / 2), () => response.destroy());
    else response.end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const core = await openCore(t, () => undefined, { config: { upstreams: { site: { targets: [target] } } } });
  const { port } = core.worker.addresses[0]!;

  const whole = { down: 0, up: 0 };
  const down = async (id: number): Promise<void> => {
    const asked = http.get({ host: "127.0.0.1", port, path: `/${id}`, headers: { host: "a.example" }, agent: false });
    const [answer = null] = (await once(asked, "response").catch(() => [])) as [http.IncomingMessage?];
    if (answer === null) return;
    const breakAt = id % 7 === 2 ? BYTES / 4 : Infinity;
    const bytes = await read(id, answer, { breakAt, ...waits(id) });
    if (answer.complete && breakAt === Infinity) {
      assert.equal(bytes, bodyOf(id).length);
      whole.down++;
    }
  };
  const up = async (id: number): Promise<void> => {
    const sent = http.request({ host: "127.0.0.1", port, path: `/${id}`, method: "PUT", headers: { host: "a.example" }, agent: false });
    const body = bodyOf(id);
    if (id % 4 === 0) sent.setHeader("content-length", body.length);
    // Whoever is answered early, or broken off, fails to write the rest.
    sent.on("error", (error: NodeJS.ErrnoException) => assert.match(error.code ?? error.message, /^(ECONNRESET|EPIPE)$/));
    const answering = once(sent, "response").catch(() => []) as Promise<[http.IncomingMessage?]>;
    if (id % 5 === 4) sent.write(body.subarray(0, BYTES / 2), () => sent.destroy());
    else sent.end(body);
    const [answer = null] = await answering;
    if (answer === null) return;
    const text = (await answer.toArray()).join("");
    if (answer.statusCode !== 200) return;
    assert.equal(text, String(body.length));
    whole.up++;
  };

  const turn = async (): Promise<void> => {
    while (next < BODIES) {
      const id = next++;
      await (id % 2 === 0 ? down(id) : up(id));
      done++;
      for (const each of waiting) if (each.after <= done || next >= BODIES) each.go();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, turn));
  await Promise.all(uploads);
  assert.ok(whole.down >= 18, `${whole.down} came down whole`);
  assert.ok(whole.up >= 18, `${whole.up} went up whole`);
  await core.nothingIsHeld();
});
