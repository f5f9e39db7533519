/** `sluice tail` on a gateway that is busy: does it show every error, and what do visitors pay for being watched? */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { sluiceCommand } from "../load/checkout.ts";
import { endWithUs } from "../load/groups.ts";
import { figure } from "../load/results.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { adminOf, TOKEN, withGateways } from "./deploying.ts";
import { type Gateway, pause } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { PacedLoad, type PacedTally } from "./paced-load.ts";

const PER_SECOND = 5_000;
const CONNECTIONS = 50;
const ERRORS = 10;
/** Watched and unwatched by turns, so that a machine that slows down or speeds up does so for both. */
const PAIRS = 12;
const SHORT_PAIRS = 2;
const PHASE_MS = 6_000;
const SHORT_PHASE_MS = 2_000;
const WARM_UP_MS = 5_000;
const MOST_COST = 0.05;
const LEAST_OF_RATE = 0.95;
const TAIL_DEADLINE_MS = 20_000;

export const tailUnderLoad: Claim = {
  name: "tail-under-load",
  asked: "tail at 5,000 requests/s with 10 errors: all 10 shown; p99 cost ≤ 5 %",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const pairs = short ? SHORT_PAIRS : PAIRS;
  const phaseMs = short ? SHORT_PHASE_MS : PHASE_MS;
  const origin = await startOrigin((_request, response) => response.end("origin"));
  const config = { upstreams: { origin: { targets: [origin.url] } }, log: { access: "off" } };
  try {
    return await withGateways(
      1,
      config,
      async ([gateway]) => {
        const errors = new Errors();
        using load = new PacedLoad({ port: gateway!.port, connections: CONNECTIONS, perSecond: PER_SECOND, path: () => errors.next(), judge });
        await load.start();
        await pause(short ? SHORT_PHASE_MS : WARM_UP_MS);
        // The first reader finds code that was never compiled.
        const first = await openTail(gateway!);
        await pause(phaseMs);
        await first.end();
        load.take();
        const unwatched: PacedTally[] = [];
        const watched: PacedTally[] = [];
        let shown = 0;
        let lines = 0;
        let dropped = 0;
        for (let pair = 0; pair < pairs; pair++) {
          // The same traffic, errors too: they cost something of themselves.
          errors.plan(ERRORS, phaseMs / 2);
          await pause(phaseMs);
          unwatched.push(load.take());
          const reader = await openTail(gateway!);
          load.take();
          errors.plan(ERRORS, phaseMs / 2);
          await pause(phaseMs);
          watched.push(load.take());
          const seen = await reader.end();
          shown += seen.errors.size;
          lines += seen.lines;
          dropped += seen.dropped;
          say(
            `  p99 ${unwatched.at(-1)!.p99Ms.toFixed(2)} ms, watched ${watched.at(-1)!.p99Ms.toFixed(2)} ms; ${seen.errors.size} of ${ERRORS} errors among ${seen.lines} lines`,
          );
          load.take();
        }
        const tally = await load.stop();
        const rates = [...watched, ...unwatched].map(({ answered, tookMs }) => answered / (tookMs / 1_000));
        const [without, beside] = [figure(unwatched.map(({ p99Ms }) => p99Ms)), figure(watched.map(({ p99Ms }) => p99Ms))];
        // Pair by pair, as the benchmark takes its ratios: between phases the machine's own p99 doubles and halves.
        const cost = figure(watched.map(({ p99Ms }, pair) => p99Ms / unwatched[pair]!.p99Ms)).median - 1;
        const failures = [...watched, ...unwatched, tally].flatMap((one) => one.failures);
        return judged(
          `${shown} of ${ERRORS * pairs} errors shown (${pairs} times ${ERRORS}) among ${lines.toLocaleString("en")} lines, ${dropped.toLocaleString("en")} other lines dropped and counted; at ${figure(rates).median.toFixed(0)} requests/s p99 ${without.median.toFixed(2)} ms (${without.lowest.toFixed(2)} to ${without.highest.toFixed(2)}), watched ${beside.median.toFixed(2)} ms (${beside.lowest.toFixed(2)} to ${beside.highest.toFixed(2)}); median of the pairs' ratios ${cost < 0 ? "" : "+"}${(cost * 100).toFixed(1)} %`,
          [
            shown < ERRORS * pairs && "errors were not shown",
            cost > MOST_COST && "above 5 %",
            failures.length > 0 && failures.join(", "),
            figure(rates).lowest < PER_SECOND * LEAST_OF_RATE && `the machine held only ${figure(rates).lowest.toFixed(0)} requests/s beside the load`,
          ],
        );
      },
      { "fails.ts": FAILS },
    );
  } finally {
    origin.close();
  }
}

function judge(head: string): string {
  return head.startsWith("HTTP/1.1 200") || (head.startsWith("HTTP/1.1 503") && /\r\nsluice-error: RULE_/i.test(head)) ? "" : head.slice(0, 60);
}

/** Which of the next requests fail: so many, spread over a time. */
class Errors {
  #left: number[] = [];
  #number = 0;

  plan(count: number, withinMs: number): void {
    const now = performance.now();
    this.#left = Array.from({ length: count }, (_, i) => now + (withinMs * (i + 1)) / count);
  }

  next(): string {
    if (this.#left.length === 0 || performance.now() < this.#left[0]!) return "/page";
    this.#left.shift();
    return `/fail/${this.#number++}`;
  }
}

interface SeenByTail {
  readonly errors: ReadonlySet<string>;
  readonly lines: number;
  readonly dropped: number;
}

/** The command as somebody runs it, without a filter: every exchange is wanted. */
async function openTail(gateway: Gateway): Promise<{ end(): Promise<SeenByTail> }> {
  const [program, ...args] = sluiceCommand("tail", "--json", "--admin", adminOf(gateway));
  const child = spawn(program!, args, { env: { ...process.env, SLUICE_ADMIN_TOKEN: TOKEN }, stdio: ["ignore", "pipe", "pipe"], detached: true });
  endWithUs(child);
  const errors = new Set<string>();
  let [lines, dropped, rest, complaint] = [0, 0, "", ""];
  const flowing = Promise.withResolvers<void>();
  child.stderr.setEncoding("utf8").on("data", (piece: string) => (complaint += piece));
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    const parts = (rest + piece).split("\n");
    rest = parts.pop()!;
    for (const part of parts) {
      lines++;
      if (part.includes('"type":"exception"')) errors.add(/planned failure (\d+)/.exec(part)?.[1] ?? part);
      else if (part.includes('"type":"dropped"')) dropped += (JSON.parse(part) as { lines: number }).lines;
    }
    flowing.resolve();
  });
  const gone = once(child, "close");
  await Promise.race([
    flowing.promise,
    gone.then(() => Promise.reject(new Error(`sluice tail ended: ${complaint}`))),
    pause(TAIL_DEADLINE_MS).then(() => Promise.reject(new Error("sluice tail shows nothing"))),
  ]);
  return {
    async end() {
      child.kill("SIGINT");
      await gone;
      return { errors, lines, dropped };
    },
  };
}

const FAILS = `import { defineRule } from "sluice";
export default defineRule({
  when: { path: "/fail/:number" },
  onRequest(req) {
    throw new Error("planned failure " + req.params.number);
  },
});
`;
