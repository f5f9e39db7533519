/** `kill -9` of the active sandbox, twenty times in a row, while one half of the visitors is in a plain hook and the other awaits a fetch. */
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { type Gateway, pause, startGateway, untilStatus } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { type Tally, Visitors } from "./visitors.ts";

const KILLS = 20;
const VISITORS = 10;
const LONGEST_STALL_MS = 100;
const UNDISTURBED_MS = 3_000;
/** What a called service takes to answer: long enough for calls to be open at every kill. */
const SERVICE_MS = 5;

export const killedSandbox: Claim = {
  name: "killed-sandbox",
  asked:
    "kill -9 of the sandbox under load, twenty times in a row: 0 failed requests; a hook that had called fetch (a counting origin) has called it once; longest stall ≤ 100 ms; nobody quarantined",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const calls = new Map<string, number>();
  const service = await startOrigin((request, response) => {
    const id = request.url!.slice(1);
    calls.set(id, (calls.get(id) ?? 0) + 1);
    setTimeout(() => response.end("counted"), SERVICE_MS);
  });
  const origin = await startOrigin((request, response) => response.end(request.url));
  const gateway = await startGateway({
    command: "start",
    // Every hook in the sandbox, or its end would hardly be noticed.
    config: { upstreams: { origin: { targets: [origin.url] } }, fetch: { private: [service.url] }, limits: { ruleRecall: "0B" } },
    rules: { "hooked.ts": HOOKED, "calling.ts": CALLING.replace("SERVICE", service.url) },
  });
  const hooked = new Visitors({
    port: gateway.port,
    count: VISITORS,
    path: (n) => `/old/${n}`,
    judge: ({ n, status, headers, body }) => (status === 200 && body === `/new/${n}` && headers["x-hooked"] === "yes" ? "" : `${status} ${body.slice(0, 80)}`),
  });
  const calling = new Visitors({
    port: gateway.port,
    count: VISITORS,
    path: (n) => `/call/${n}`,
    judge: ({ n, status, headers, body }) =>
      status === 200 && body === `/call/${n}` && headers["x-called"] === "counted" ? "" : `${status} ${body.slice(0, 80)}`,
  });
  try {
    await pause(short ? 1_000 : UNDISTURBED_MS);
    const undisturbed = [hooked.take(), calling.take()];
    const kills = short ? 3 : KILLS;
    await killAll(gateway, kills, say);
    const disturbed = [await hooked.stop(), await calling.stop()];
    const { quarantined } = await gateway.status();
    return finding(kills, undisturbed, disturbed, calls, quarantined);
  } finally {
    await Promise.all([hooked.stop(), calling.stop()]);
    await gateway.stop();
    origin.close();
    service.close();
  }
}

async function killAll(gateway: Gateway, kills: number, say: Proof["say"]): Promise<void> {
  let killed = 0;
  for (let kill = 1; kill <= kills; kill++) {
    // The spare must be warm again: what is proven is the loss of one sandbox, not of both.
    const status = await untilStatus(gateway, ({ workers: [worker] }) => {
      const sandbox = worker?.sandbox;
      return sandbox !== null && sandbox !== undefined && sandbox.activePid !== 0 && sandbox.activePid !== killed && sandbox.sparePid !== 0;
    });
    killed = status.workers[0]!.sandbox!.activePid;
    process.kill(killed, "SIGKILL");
    if (kill % 5 === 0) say(`  ${kill} kills`);
    await pause(100);
  }
  await untilStatus(gateway, ({ workers: [worker] }) => worker?.sandbox?.activePid !== killed);
}

function finding(
  kills: number,
  undisturbed: readonly Tally[],
  disturbed: readonly Tally[],
  calls: ReadonlyMap<string, number>,
  quarantined: readonly string[],
): Finding {
  const all = [...undisturbed, ...disturbed];
  const sum = (pick: (tally: Tally) => number): number => all.reduce((total, tally) => total + pick(tally), 0);
  const longest = (tallies: readonly Tally[]): number => Math.max(...tallies.map(({ longestMs }) => longestMs));
  const failed = sum((tally) => tally.failed);
  const twice = [...calls.values()].filter((count) => count !== 1).length;
  const called = undisturbed[1]!.requests + disturbed[1]!.requests;
  const stallMs = longest(disturbed);
  return judged(
    `${kills} kills: ${failed} of ${sum((tally) => tally.requests).toLocaleString("en")} requests failed; ${calls.size.toLocaleString("en")} fetches, ${twice} of them not sent exactly once; longest answer ${stallMs.toFixed(0)} ms (undisturbed ${longest(undisturbed).toFixed(0)} ms); quarantined: ${quarantined.length}`,
    [
      failed > 0 &&
        `failed: ${all
          .flatMap(({ failures }) => failures)
          .slice(0, 3)
          .join(", ")}`,
      twice > 0 && `${twice} fetches sent more than once`,
      calls.size !== called && `${calls.size} fetches arrived for ${called} requests`,
      stallMs > LONGEST_STALL_MS && `a stall above ${LONGEST_STALL_MS} ms`,
      quarantined.length > 0 && `quarantined: ${quarantined.join(", ")}`,
    ],
  );
}

const HOOKED = `import { defineRule } from "sluice";

export default defineRule({
  when: { path: "/old/*" },
  onRequest(req) {
    req.path = "/new/" + req.path.slice("/old/".length);
  },
  onResponse(res) {
    res.headers.set("x-hooked", "yes");
  },
});
`;

const CALLING = `import { defineRule } from "sluice";

export default defineRule<{ called: string }>({
  when: { path: "/call/*" },
  async onRequest(req, ctx) {
    const answer = await ctx.fetch("SERVICE/" + req.path.slice("/call/".length));
    ctx.state.called = await answer.text();
  },
  onResponse(res, _req, ctx) {
    res.headers.set("x-called", ctx.state.called ?? "");
  },
});
`;
