/**
 * Requests collected from llhttp's and h1spec's tests (data from outside, not in this repository), each sent to a front in
 * raw bytes; after each, an innocent request must be answered. `--list` prints each difference with its reason. Exit 1 when a case differs without a listed reason, or a listed one no longer does.
 */
import { ask, INNOCENT, startFront } from "../proxy/http1/front-harness.ts";
import type { Harness } from "../proxy/http1/front-harness.ts";
import { outsideData } from "./data.ts";
import { DIFFERENCES } from "./wire-reasons.ts";
import type { Verdict } from "./wire-reasons.ts";

interface WireCase {
  readonly suite: string;
  readonly id: string;
  readonly request_base64: string;
  readonly expect: "accept" | "reject" | "wait" | "either";
}

interface Judgement {
  readonly verdict: Verdict;
  readonly code: string;
}

/** What the front made of the bytes: a refusal; a request taken (and, unless `headIsEnough`, answered); or waiting for more. */
async function judge(harness: Harness, request: string, headIsEnough = false): Promise<Judgement> {
  const seenBefore = harness.seen.length;
  const client = await harness.connect();
  client.send(request);
  // Another connection's answers come after these bytes were read: whatever is not answered by then is waiting.
  await ask(harness, INNOCENT);
  await ask(harness, INNOCENT);
  const received = client.received;
  client.socket.destroy();
  const code = /\r\nsluice-error: (\w+)\r\n/.exec(received)?.[1] ?? "";
  if (code !== "") return { verdict: "reject", code };
  const taken = headIsEnough ? harness.seen.length > seenBefore + 2 : received.startsWith("HTTP/1.1 200 ");
  return { verdict: taken ? "accept" : "wait", code };
}

/**
 * The data was collected with its last line ends cut off, and most of llhttp's requests have no Host, which HTTP/1.1
 * requires (RFC 9112 section 3.2). Completed, the case still tests what it was made for.
 */
function complete(request: string): string {
  const hosted = /\r\nhost:/i.test(request) ? request : request.replace(/^([A-Z-]+ [^\r\n]* HTTP\/1\.1\r\n)/gm, "$1Host: completed.example\r\n");
  const lastHead = hosted.lastIndexOf("\r\n\r\n");
  const startsAnother = /\r\n[A-Z]+ [^\r\n]+ HTTP\/1\.1(?:\r\n[^\r\n]+)*(?:\r\n)?$/.test(hosted);
  if (lastHead >= 0 && !startsAnother)
    return hosted.endsWith("\r\n0") ? `${hosted}\r\n\r\n` : /\r\n0+\r\n(?:[^\r\n]+\r\n)*$/.test(hosted) ? `${hosted}\r\n` : hosted;
  return hosted.endsWith("\r\n") ? `${hosted}\r\n` : `${hosted}\r\n\r\n`;
}

async function run(): Promise<number> {
  const cases = outsideData("wire-cases.json") as WireCase[];
  const harness = await startFront();
  const differences = new Map(DIFFERENCES.flatMap((difference) => difference.cases.map((name) => [name, difference] as const)));
  const count = { asExpected: 0, completed: 0, listed: 0 };
  const wrong: string[] = [];
  for (const wireCase of cases) {
    const name = `${wireCase.suite} ${wireCase.id.split(" ")[0]}`;
    const request = Buffer.from(wireCase.request_base64, "base64").toString("latin1");
    const expected = wireCase.expect;
    let found = await judge(harness, request);
    if (expected === "either" || found.verdict === expected) count.asExpected++;
    else {
      if (found.verdict === "wait" || found.code === "HOST_INVALID") found = await judge(harness, complete(request), true);
      const listed = differences.get(name);
      differences.delete(name);
      if (listed === undefined && found.verdict === expected) count.completed++;
      else if (listed !== undefined && found.verdict === listed.verdict && found.code === listed.code && found.verdict !== expected) {
        count.listed++;
        if (process.argv.includes("--list")) console.log(`listed: ${name}: expected ${expected}, got ${found.verdict} ${found.code}: ${listed.reason}`);
      } else
        wrong.push(
          `${wireCase.suite} ${wireCase.id}: expected ${expected}, got ${found.verdict} ${found.code} for ${JSON.stringify(complete(request).slice(0, 300))}`,
        );
    }
    const innocent = await ask(harness, INNOCENT);
    if (!innocent.startsWith("HTTP/1.1 200 ")) wrong.push(`${name}: the innocent request after it got ${JSON.stringify(innocent.slice(0, 60))}`);
  }
  await harness.close();
  for (const name of differences.keys()) wrong.push(`${name} is listed as a difference but is none`);
  for (const line of wrong) console.log(`wrong: ${line}`);
  console.log(
    `wire: ${cases.length} cases: ${count.asExpected} as expected, ${count.completed} once completed (Host, last line end), ${count.listed} differ for a listed reason, ${wrong.length} wrong`,
  );
  return wrong.length === 0 ? 0 : 1;
}

process.exitCode = await run();
