import assert from "node:assert/strict";
import { test } from "node:test";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import { GatewayError } from "../../runtime/errors.ts";
import { createObserver } from "../../runtime/observe/observe.ts";
import { ALL, MemorySink, record } from "./records.ts";

function observing(log: Partial<ResolvedConfig["log"]>) {
  const sink = new MemorySink();
  let nowMs = 0;
  const observer = createObserver({ log: { ...ALL, ...log }, sink, now: () => nowMs });
  return { sink, observer, advance: (ms: number) => (nowMs += ms) };
}

test("an exchange is one line that says who, what, how long and by whom", () => {
  const { sink, observer } = observing({});
  observer.exchange(record({ target: "/a?b=1", durationMs: 7.12345 }));
  const [line] = sink.lines;
  assert.equal(sink.lines.length, 1);
  const { time, ...rest } = line!;
  assert.equal(typeof time, "number");
  assert.deepEqual(rest, {
    level: "info",
    event: "exchange",
    id: "a-1",
    startMs: 1_700_000_000_000,
    client: "192.0.2.1",
    scheme: "http",
    http: "1.1",
    method: "GET",
    host: "shop.example.com",
    path: "/a?b=1",
    status: 200,
    code: "",
    detail: "",
    from: "upstream",
    route: 0,
    upstream: "shop",
    target: "http://127.0.0.1:9001",
    release: "abc",
    rule: "",
    durationMs: 7.123,
    upstreamMs: 2,
    receivedBytes: 10,
    sentBytes: 100,
    completed: true,
    userAgent: "curl/8",
  });
});

test("a client that left is logged as 499", () => {
  const { sink, observer } = observing({});
  observer.exchange(record({ status: 0, code: "CLIENT_CLOSED", completed: false }));
  assert.deepEqual([sink.lines[0]!["status"], sink.lines[0]!["level"]], [499, "warn"]);
});

test("the logged share is chosen by the id, the same everywhere, and comes out near the share", () => {
  const first = observing({ accessShare: 0.25 });
  const second = observing({ accessShare: 0.25 });
  for (let i = 0; i < 4000; i++) {
    first.observer.exchange(record({ id: `gw-${i.toString(36)}` }));
    second.observer.exchange(record({ id: `gw-${i.toString(36)}` }));
  }
  const ids = first.sink.lines.map((line) => line["id"]);
  assert.deepEqual(
    second.sink.lines.map((line) => line["id"]),
    ids,
  );
  assert.ok(ids.length > 850 && ids.length < 1150, `${ids.length} of 4000 at 25 %`);
});

test("errors are logged at any share; off is off", () => {
  const none = observing({ accessShare: 0 });
  const errors = observing({ errorsOnly: true });
  const off = observing({ off: true });
  for (const { observer } of [none, errors, off]) {
    observer.exchange(record());
    observer.exchange(record({ status: 502, code: "UPSTREAM_RESET" }));
    observer.exchange(record({ status: 404, code: "NO_ROUTE" }));
    observer.exchange(record({ status: 500 }));
    observer.refused(new GatewayError("REQUEST_MALFORMED", "space before the colon"), { clientAddress: "192.0.2.1", clientPort: 5, localPort: 80 });
  }
  const shown = (sink: MemorySink) => sink.lines.map((line) => [line["event"], line["status"]]);
  const expected = [
    ["exchange", 502],
    ["exchange", 404],
    ["exchange", 500],
    ["refused", 400],
  ];
  assert.deepEqual(shown(none.sink), expected);
  assert.deepEqual(shown(errors.sink), expected);
  assert.deepEqual(shown(off.sink), []);
});

test("query values and headers on the redaction lists never stand in the log, however they are written", () => {
  const { sink, observer } = observing({ redactQuery: ["Token", "q"], redactHeaders: ["User-Agent"] });
  observer.exchange(record({ target: "/a?token=s1&x=1&TOKEN=s2&%74oken=s3&q=&tok&token", userAgent: "secret agent" }));
  assert.equal(sink.lines[0]!["path"], "/a?token=REDACTED&x=1&TOKEN=REDACTED&%74oken=REDACTED&q=REDACTED&tok&token");
  assert.equal(sink.lines[0]!["userAgent"], "");
});

test("what a client sends cannot forge a line, nor make it longer than a pipe keeps whole", () => {
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line), flushSync: () => undefined, dropped: 0 };
  const observer = createObserver({ log: ALL, sink, now: () => 0 });
  observer.exchange(
    record({
      target: `/${"x".repeat(8000)}`,
      userAgent: `evil"\n{"level":"info"}${"y".repeat(9000)}`,
      host: "h".repeat(255),
      detail: "d".repeat(9000),
      status: 500,
    }),
  );
  assert.equal(lines.length, 1);
  assert.equal(lines[0]!.indexOf("\n"), lines[0]!.length - 1);
  assert.ok(Buffer.byteLength(lines[0]!) < 4096, `${Buffer.byteLength(lines[0]!)} bytes`);
});

test("a rule that logs in a loop is cut off, counted, and heard again later", () => {
  const { sink, observer, advance } = observing({});
  for (let i = 0; i < 10_000; i++) observer.ruleLog({ rule: "loud.ts", release: "0123456789ab", level: "info", text: `${i}`, exchange: "a-1" });
  observer.ruleLog({ rule: "quiet.ts", release: "0123456789ab", level: "error", text: "x".repeat(100_000), exchange: "a-1" });
  assert.equal(sink.lines.length, 501);
  assert.ok(String(sink.lines[500]!["text"]).length <= 2001);
  advance(1000);
  observer.ruleLog({ rule: "loud.ts", release: "0123456789ab", level: "info", text: "again", exchange: "a-2" });
  assert.deepEqual([sink.lines[501]!["text"], sink.lines[501]!["linesDropped"]], ["again", 9500]);
  const { counters } = observer.snapshot();
  assert.deepEqual(counters["sluice_log_lines_dropped_total"], [[["rule"], 9500]]);
});

test("a rule's failure is logged with its stack, a defect with its cause", () => {
  const { sink, observer } = observing({});
  observer.rule({
    rule: "a.ts",
    release: "0123456789ab",
    phase: "onRequest",
    cpuUs: 5,
    outcome: "failed-open",
    failure: { kind: "threw", message: "no", stack: "Error: no\n    at a.ts:1:2" },
    exchange: "a-1",
  });
  observer.defect(new GatewayError("INTERNAL", "broken", { cause: new Error("the cause") }));
  assert.deepEqual([sink.lines[0]!["event"], sink.lines[0]!["stack"], sink.lines[0]!["outcome"]], ["rule-failed", "Error: no\n    at a.ts:1:2", "failed-open"]);
  observer.ruleLog({ rule: "a.ts", release: "ba9876543210", level: "info", text: "of a canary", exchange: "a-1" });
  assert.deepEqual([sink.lines[0]!["release"], sink.lines.at(-1)!["release"]], ["0123456789ab", "ba9876543210"], "two releases may run beside each other");
  assert.match(String(sink.lines[1]!["stack"]), /the cause/);
});
