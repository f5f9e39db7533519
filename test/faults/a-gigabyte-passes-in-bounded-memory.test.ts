import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { type RunningGateway, startGateway } from "../support/running-gateway.ts";

const PIECE = Buffer.alloc(1 << 20, "sluice passes bytes on; ");
const PIECES = 1024;
const HEAP_MIB = 64;
const RESIDENT_LIMIT_BYTES = 256 * 1024 * 1024;

/** Writes the pieces as fast as the other side takes them. */
async function pour(sink: NodeJS.WritableStream & { write(piece: Buffer): boolean }): Promise<void> {
  for (let i = 0; i < PIECES; i++) if (!sink.write(PIECE)) await new Promise((resolve) => sink.once("drain", resolve));
  sink.end();
}
/** How much came, and how much of it from the beginning is what was poured, byte for byte: comparing takes a twentieth of a digest's time. */
async function taken(source: AsyncIterable<Buffer>, each: () => void): Promise<{ bytes: number; same: number }> {
  let bytes = 0;
  let same = 0;
  for await (const chunk of source) {
    for (let from = 0; from < chunk.length;) {
      const at = (bytes + from) % PIECE.length;
      const part = Math.min(chunk.length - from, PIECE.length - at);
      if (same === bytes + from && chunk.compare(PIECE, at, at + part, from, from + part) === 0) same += part;
      from += part;
    }
    bytes += chunk.length;
    each();
  }
  return { bytes, same };
}
const WHOLE = { bytes: PIECES * PIECE.length, same: PIECES * PIECE.length };

describe(`a gigabyte through a worker whose heap is ${HEAP_MIB} MiB`, () => {
  let gateway: RunningGateway;
  let worker = 0;
  let peakBytes = 0;
  const sample = (): void => {
    const pages = Number(readFileSync(`/proc/${worker}/statm`, "latin1").split(" ")[1]);
    peakBytes = Math.max(peakBytes, pages * 4096);
  };
  const origin = http.createServer((request, response) => {
    if (request.method === "GET") void pour(response);
    else
      taken(request, sample).then(
        (result) => response.end(JSON.stringify(result)),
        () => response.destroy(),
      );
  });
  before(async () => {
    await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
    const target = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
    gateway = await startGateway({
      config: { upstreams: { files: { targets: [target] } }, limits: { bodySize: "2GiB" } },
      env: { NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}` },
    });
    worker = (await gateway.status()).workers[0]!.pid;
  });
  after(async () => {
    await gateway.stop();
    origin.close();
  });

  test("comes down byte for byte", async () => {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => http.get(`${gateway.url}/down`, resolve).on("error", reject));
    assert.deepEqual(await taken(response, sample), WHOLE);
  });
  test("goes up byte for byte", async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const request = http.request(`${gateway.url}/up`, { method: "PUT" }, (response) => {
        let text = "";
        response.on("data", (piece: Buffer) => (text += piece.toString()));
        response.on("end", () => resolve(text));
      });
      request.on("error", reject);
      pour(request).catch(reject);
    });
    assert.deepEqual(JSON.parse(answer), WHOLE);
  });
  test("and the worker never holds more than a fraction of it", () => {
    assert.ok(peakBytes > 0 && peakBytes < RESIDENT_LIMIT_BYTES, `resident memory reached ${Math.round(peakBytes / 2 ** 20)} MiB`);
  });
});
