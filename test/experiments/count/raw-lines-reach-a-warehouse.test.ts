import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ManualClock } from "../../../runtime/clock.ts";
import { RawEvents, type RawEventsConfig } from "../../../runtime/experiments/count/raw-events.ts";
import { assigned, exchange } from "./given.ts";

const AT_MS = Date.UTC(2026, 0, 1);

function rawOf(t: TestContext, config: Partial<RawEventsConfig> & Pick<RawEventsConfig, "target">) {
  const clock = new ManualClock(0, AT_MS);
  const warnings: string[] = [];
  const raw = new RawEvents({ unit: "hashed", ...config }, { clock, warn: (text) => void warnings.push(text) });
  t.after(() => raw.close());
  return { raw, clock, warnings };
}

test("a file gets one line of JSON for each, with names that warehouses know, units hashed unless config says otherwise", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-raw-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "deep", "raw.jsonl");
  const lines = (): Record<string, unknown>[] =>
    readFileSync(file, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const hashed = rawOf(t, { target: { kind: "file", file } });
  hashed.raw.exposure(assigned("ann", 1), exchange(AT_MS));
  hashed.raw.goal(assigned("ann", 1), "revenue", 19.9, AT_MS + 5, exchange(AT_MS + 5));
  await hashed.raw.write();
  assert.deepEqual(lines(), [
    {
      event: "exposure",
      id: lines()[0]!["id"],
      timestamp: "2026-01-01T00:00:00.000Z",
      experiment_id: "hero-copy",
      version: 0,
      variation_id: "bold",
      unit_id: lines()[0]!["unit_id"],
      variation_index: 1,
      reason: "bucketed",
      request_id: "r",
      attributes: { path: "/" },
    },
    { ...lines()[1]!, event: "goal", goal: "revenue", value: 19.9, unit_id: lines()[0]!["unit_id"] },
  ]);
  assert.match(String(lines()[0]!["unit_id"]), /^[0-9a-f]{32}$/);
  assert.equal(statSync(file).mode & 0o077, 0, "for its owner only");
  const plain = rawOf(t, { target: { kind: "file", file }, unit: "plain" });
  plain.raw.exposure(assigned("ann", 1), exchange(AT_MS + 99));
  await plain.raw.write();
  assert.deepEqual([lines()[2]!["unit_id"], lines()[2]!["id"]], ["visitor:ann", lines()[0]!["id"]], "the same exposure has the same id");
});

test("what waits is bounded by its size too, and what does not fit is dropped and counted", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-raw-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { raw } = rawOf(t, { target: { kind: "file", file: join(folder, "raw.jsonl") } });
  const long = exchange(AT_MS, { attributes: { path: `/${"a".repeat(1024 * 1024)}` } });
  for (let i = 0; i < 20; i++) raw.exposure(assigned(`u${i}`, 0), long);
  assert.equal(raw.status().dropped, 5);
  await raw.write();
  assert.deepEqual(raw.status(), { written: 15, dropped: 5, failures: 0 });
  raw.exposure(assigned("later", 0), long);
  await raw.write();
  assert.deepEqual(raw.status(), { written: 16, dropped: 5, failures: 0 });
});

test("a webhook gets batches; one that refuses is asked again some times, and then what it did not take is dropped and counted", async (t) => {
  const bodies: string[] = [];
  let status = 503;
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    request.on("end", () => {
      bodies.push(text);
      response.writeHead(status).end();
    });
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => server.close());
  const { raw, warnings } = rawOf(t, { target: { kind: "webhook", url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/in?key=secret` } });
  for (let i = 0; i < 600; i++) raw.exposure(assigned(`u${i}`, 0), exchange(AT_MS));
  await raw.write();
  assert.deepEqual([raw.status(), bodies.length], [{ written: 0, dropped: 0, failures: 1 }, 1]);
  status = 200;
  await raw.write();
  assert.deepEqual(raw.status(), { written: 600, dropped: 0, failures: 1 });
  assert.deepEqual(
    bodies.slice(1).map((body) => body.trimEnd().split("\n").length),
    [500, 100],
  );
  status = 500;
  raw.exposure(assigned("last", 0), exchange(AT_MS));
  for (let i = 0; i < 4; i++) await raw.write();
  assert.deepEqual(raw.status(), { written: 600, dropped: 1, failures: 5 });
  assert.equal(warnings.length, 2, "told once, until it is well again");
  assert.doesNotMatch(warnings.join(), /secret/);
});

test("lines wait within a bound", async (t) => {
  const { raw } = rawOf(t, { target: { kind: "webhook", url: "http://127.0.0.1:9/" } });
  for (let i = 0; i < 10_050; i++) raw.exposure(assigned(`u${i}`, 0), exchange(AT_MS));
  assert.equal(raw.status().dropped, 50);
});
