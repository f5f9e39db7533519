/**
 * Every hostile rule of the tests beside a healthy one under load, in the process tree that the command line starts: twenty offences of
 * twenty rules (so that none is quarantined), then one that offends until it is.
 */
import { readFileSync } from "node:fs";
import { BOUNDED, HOLD_TOO_MUCH, NEVER_END, NO_GUARD_INSIDE } from "../../test/security/hostile-list.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { type Gateway, pause, startGateway, untilStatus } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { type Tally, Visitors } from "./visitors.ts";

const OFFENCES = 20;
const VISITORS = 4;
const VISITOR_PAUSE_MS = 4;
const UNDISTURBED_MS = 2_000;
/** What one hook may take: 1.5 × limits.ruleCpu of 50 ms. */
const DEADLINE_MS = 75;
const LONGEST_DELAY_MS = DEADLINE_MS + 100;
const QUARANTINED_P99_MS = 10;
const RULE_MEMORY_MIB = 64;
const ABOVE_BOUND_MIB = 192;
const LOOK_EVERY_MS = 10;
const ASK_TIMEOUT_MS = 20_000;
/** `OFFENCES_TO_QUARANTINE`, and as many for those that were answered by another's guard. */
const MOST_TO_QUARANTINE = 12;

export const hostileRules: Claim = {
  name: "hostile-rules",
  asked: `each hostile rule beside a healthy one under load, 20 times with nobody quarantined, once until it is: 0 failed requests of others; an offence delays them by at most the deadline (${DEADLINE_MS} ms) + 100 ms; after quarantine their p99 within 10 ms of undisturbed; answered by onFailure, named in log and metrics; a sandbox's memory at most its bound + 192 MiB`,
  when: "soak",
  measure,
};

interface Suspect {
  readonly name: string;
  readonly rule: string | { readonly body: string; readonly top?: string };
  readonly codes: readonly string[];
  /** Does it cost sandboxes or isolates, so that it is quarantined? */
  readonly breaks: boolean;
}

interface Seen {
  readonly name: string;
  readonly requests: number;
  readonly failures: readonly string[];
  readonly failed: number;
  readonly undisturbedP99Ms: number;
  readonly delaysMs: readonly number[];
  readonly quarantinedP99Ms: number;
  readonly memoryMiB: number;
  readonly faults: readonly string[];
}

async function measure({ short, say }: Proof): Promise<Finding> {
  const broken = Object.entries({ ...NEVER_END, ...HOLD_TOO_MUCH, ...NO_GUARD_INSIDE }).map(([name, { rule, codes }]) => ({ name, rule, codes, breaks: true }));
  const bounded = Object.entries(BOUNDED).map(([name, { rule, codes }]) => ({ name, rule, codes, breaks: false }));
  const only = process.env["SLUICE_PROVE_RULE"];
  const suspects = [...broken, ...bounded].filter(({ name }, index) => (only === undefined ? !short || index % 8 === 0 : name.includes(only)));
  const all: Seen[] = [];
  say(row(["rule", "others failed", "longest delay ms", "median", "memory MiB", "p99 before", "p99 after", "faults"]));
  for (const suspect of suspects) {
    const seen = await judge(suspect, short ? 3 : OFFENCES);
    all.push(seen);
    const { delaysMs, memoryMiB, undisturbedP99Ms, quarantinedP99Ms } = seen;
    const sorted = [...delaysMs].sort((a, b) => a - b);
    const median = sorted[sorted.length >> 1]!;
    const after = Number.isNaN(quarantinedP99Ms) ? "" : quarantinedP99Ms.toFixed(1);
    const figures = [
      `${seen.failed} of ${seen.requests}`,
      sorted.at(-1)!.toFixed(0),
      median.toFixed(0),
      memoryMiB.toFixed(0),
      undisturbedP99Ms.toFixed(1),
      after,
    ];
    say(row([seen.name, ...figures, [...seen.faults, ...seen.failures].join("; ")]));
  }
  return finding(all);
}

function row(cells: readonly string[]): string {
  const widths = [46, 16, 16, 6, 10, 10, 9];
  return `  ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join("  ")}`.trimEnd();
}

async function judge(suspect: Suspect, offences: number): Promise<Seen> {
  const origin = await startOrigin((request, response) => response.end(request.url));
  const rules = Object.fromEntries(Array.from({ length: offences + 1 }, (_, n) => [`hostile-${n}.ts`, moduleOf(suspect.rule, `/hostile/${n}`)]));
  const gateway = await startGateway({
    command: "start",
    config: {
      upstreams: { origin: { targets: [origin.url] } },
      limits: { ruleRecall: "0B", ruleWall: "1s", ruleMemory: `${RULE_MEMORY_MIB}MiB` },
      fetch: { allow: ["https://api.example.com"] },
    },
    rules: { ...rules, "healthy.ts": HEALTHY },
  });
  const watch = new MemoryWatch(gateway);
  const visitors = new Visitors({
    port: gateway.port,
    count: VISITORS,
    pauseMs: VISITOR_PAUSE_MS,
    path: (n) => `/old/${n}`,
    judge: ({ n, status, headers, body }) =>
      status === 200 && body === `/new/${n}` && headers["x-healthy"] === "yes" ? "" : `${status} ${String(headers["sluice-error"] ?? "")} ${body.slice(0, 80)}`,
  });
  const faults = new Set<string>();
  const tallies: Tally[] = [];
  try {
    await warm(gateway);
    await pause(500);
    visitors.take();
    await pause(UNDISTURBED_MS);
    const undisturbed = visitors.take();
    await watch.begin();
    const delaysMs: number[] = [];
    for (let n = 0; n < offences; n++) {
      await warm(gateway);
      tallies.push(visitors.take());
      const code = await ask(gateway, n);
      // Whoever waited meanwhile is answered by now, or soon.
      await pause(50);
      const during = visitors.take();
      tallies.push(during);
      delaysMs.push(during.longestMs);
      if (!suspect.codes.includes(code)) faults.add(`answered ${code || "200"}`);
    }
    const quarantinedP99Ms = suspect.breaks ? await quarantine(gateway, offences, visitors, tallies, faults) : Number.NaN;
    if (suspect.breaks) await named(gateway, offences, faults);
    tallies.push(await visitors.stop());
    const sum = (pick: (tally: Tally) => number): number => tallies.reduce((total, tally) => total + pick(tally), 0);
    return {
      name: suspect.name,
      requests: sum(({ requests }) => requests),
      failed: sum(({ failed }) => failed),
      failures: tallies.flatMap(({ failures }) => failures).slice(0, 2),
      undisturbedP99Ms: undisturbed.p99Ms,
      delaysMs,
      quarantinedP99Ms,
      memoryMiB: watch.peakBytes / 2 ** 20,
      faults: [...faults],
    };
  } finally {
    watch.end();
    await visitors.stop();
    await gateway.stop();
    origin.close();
  }
}

/** Offends until it is quarantined, then is asked on while the others are timed. */
async function quarantine(gateway: Gateway, n: number, visitors: Visitors, tallies: Tally[], faults: Set<string>): Promise<number> {
  let code = "";
  for (let offence = 0; offence < MOST_TO_QUARANTINE && code !== "RULE_QUARANTINED"; offence++) code = await ask(gateway, n);
  if (code !== "RULE_QUARANTINED") faults.add("not quarantined");
  await warm(gateway);
  await pause(200);
  tallies.push(visitors.take());
  const until = performance.now() + UNDISTURBED_MS;
  while (performance.now() < until) {
    if ((await ask(gateway, n)) !== "RULE_QUARANTINED") faults.add("run again after quarantine");
    await pause(5);
  }
  const after = visitors.take();
  tallies.push(after);
  return after.p99Ms;
}

async function named(gateway: Gateway, offences: number, faults: Set<string>): Promise<void> {
  const metrics = await gateway.metrics();
  const { quarantined } = await gateway.status();
  for (let n = 0; n <= offences; n++) {
    const name = `hostile-${n}.ts`;
    if (!metrics.includes(`sluice_rule_failures_total{rule="${name}"`)) faults.add("not named in the metrics");
    if (!gateway.output().includes(name)) faults.add("not named in the log");
    if (quarantined.includes(name) !== (n === offences)) faults.add(n === offences ? "not named as quarantined" : "quarantined after one offence");
  }
  if (quarantined.includes("healthy.ts")) faults.add("an innocent rule is quarantined");
}

function warm(gateway: Gateway): Promise<unknown> {
  return untilStatus(gateway, ({ workers: [worker] }) => Boolean(worker?.sandbox?.activePid) && Boolean(worker?.sandbox?.sparePid));
}

/** The gateway's error code, or "". */
async function ask(gateway: Gateway, n: number): Promise<string> {
  const answer = await fetch(`${gateway.url}/hostile/${n}`, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
  await answer.arrayBuffer();
  return answer.headers.get("sluice-error") ?? "";
}

function finding(all: readonly Seen[]): Finding {
  const most = (pick: (seen: Seen) => number): number => Math.max(...all.map(pick));
  const failed = all.reduce((sum, seen) => sum + seen.failed, 0);
  const requests = all.reduce((sum, seen) => sum + seen.requests, 0);
  const offences = all.reduce((sum, { delaysMs }) => sum + delaysMs.length, 0);
  const delayMs = (seen: Seen): number => Math.max(...seen.delaysMs);
  const p99Growth = all.map((seen) => seen.quarantinedP99Ms - seen.undisturbedP99Ms).filter((growth) => !Number.isNaN(growth));
  return judged(
    `${all.length} rules, ${offences} offences: ${failed} of ${requests.toLocaleString("en")} requests of others failed; longest delay ${most(delayMs).toFixed(0)} ms; p99 after quarantine at most ${Math.max(...p99Growth).toFixed(1)} ms above undisturbed; a sandbox held at most ${most(({ memoryMiB }) => memoryMiB).toFixed(0)} MiB`,
    [
      failed > 0 &&
        `failed: ${all
          .flatMap(({ failures }) => failures)
          .slice(0, 3)
          .join(", ")}`,
      ...all.map((seen) => delayMs(seen) > LONGEST_DELAY_MS && `${seen.name}: others waited ${delayMs(seen).toFixed(0)} ms`),
      ...all.map(
        (seen) =>
          seen.quarantinedP99Ms > seen.undisturbedP99Ms + QUARANTINED_P99_MS && `${seen.name}: p99 ${seen.quarantinedP99Ms.toFixed(0)} ms after quarantine`,
      ),
      ...all.map((seen) => seen.memoryMiB > RULE_MEMORY_MIB + ABOVE_BOUND_MIB && `${seen.name}: a sandbox held ${seen.memoryMiB.toFixed(0)} MiB`),
      ...all.map(({ name, faults }) => faults.length > 0 && `${name}: ${faults.join(", ")}`),
    ],
  );
}

/** The most that any sandbox of the gateway ever held. */
class MemoryWatch {
  readonly #gateway: Gateway;
  #timer: NodeJS.Timeout | undefined;
  peakBytes = 0;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  async begin(): Promise<void> {
    const { workers } = await this.#gateway.status();
    const pid = workers[0]!.pid;
    this.#timer = setInterval(() => {
      for (const child of read(`/proc/${pid}/task/${pid}/children`).trim().split(" ")) {
        // VmHWM misses nothing between two looks but the very end.
        const kib = Number(/^VmHWM:\s+(\d+) kB/m.exec(child === "" ? "" : read(`/proc/${child}/status`))?.[1] ?? 0);
        this.peakBytes = Math.max(this.peakBytes, kib * 1_024);
      }
    }, LOOK_EVERY_MS);
  }
  end(): void {
    clearInterval(this.#timer);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    // It has just ended.
    return "";
  }
}

function moduleOf(rule: Suspect["rule"], path: string): string {
  const { body, top = "" } = typeof rule === "string" ? { body: `onRequest(req, ctx) { ${rule} }` } : rule;
  return `import { defineRule, respond } from "sluice";\n${top}\nvoid respond;\nexport default defineRule({ when: { path: ${JSON.stringify(path)} }, ${body} });\n`;
}

const HEALTHY = `import { defineRule } from "sluice";

export default defineRule({
  when: { path: "/old/*" },
  onRequest(req) {
    req.path = "/new/" + req.path.slice("/old/".length);
  },
  onResponse(res) {
    res.headers.set("x-healthy", "yes");
  },
});
`;
