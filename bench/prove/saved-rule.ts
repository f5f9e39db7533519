/** A real `sluice dev` in a project made by `sluice init`: from a save to the first answer that shows it, and what a broken save does. */
import { spawnSync } from "node:child_process";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { sluiceCommand } from "../load/checkout.ts";
import { figure } from "../load/results.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { type Gateway, makeFolder, pause, runGateway } from "./gateway.ts";
import { startOrigin } from "./origin.ts";

const SAVES = 40;
const LIMIT_MS = 300;
const GIVE_UP_MS = 10_000;
/** Between two saves; the types of the last one may still be under check, as they would be for somebody who saves often. */
const BETWEEN_SAVES_MS = 400;

export const savedRule: Claim = {
  name: "saved-rule-is-live",
  asked: "saved rule → live in dev: ≤ 300 ms at the 95th percentile of 40 saves; a broken save keeps serving and shows file, line, column",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const origin = await startOrigin((_request, response) => response.end("from the origin"));
  const folder = makeFolder();
  const [program, ...args] = sluiceCommand("init", folder);
  const made = spawnSync(program!, args, { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`sluice init failed: ${made.stdout}${made.stderr}`);
  const config = join(folder, "sluice.config.ts");
  const text = readFileSync(config, "utf8").replace("port: 8080", "port: 0").replace("http://127.0.0.1:9001", origin.url);
  writeFileSync(config, text.replace('rules: "./rules"', 'admin: { port: 0 },\n  rules: "./rules"'));
  const gateway = await runGateway(folder, "dev");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const tookMs = await timeSaves(gateway, agent, short ? 5 : SAVES, say);
    const faults = await breakAndMend(gateway, agent);
    const sorted = [...tookMs].sort((a, b) => a - b);
    const p95Ms = sorted[Math.ceil(sorted.length * 0.95) - 1]!;
    const { median, highest } = figure(tookMs);
    return judged(
      `${tookMs.length} saves: p95 ${p95Ms.toFixed(0)} ms, median ${median.toFixed(0)} ms, longest ${highest.toFixed(0)} ms; a broken save ${faults.length === 0 ? "kept serving and was shown with file, line and column in terminal and browser" : "went wrong"}`,
      [p95Ms > LIMIT_MS && `p95 above ${LIMIT_MS} ms`, ...faults],
    );
  } finally {
    agent.destroy();
    await gateway.stop();
    origin.close();
  }
}

async function timeSaves(gateway: Gateway, agent: Agent, saves: number, say: Proof["say"]): Promise<number[]> {
  const file = join(gateway.folder, "rules", "hello.ts");
  const tookMs: number[] = [];
  for (let save = 1; save <= saves; save++) {
    await pause(BETWEEN_SAVES_MS);
    const startedMs = performance.now();
    if (save % 2 === 0) writeFileSync(file, ruleText(String(save)));
    else {
      // As many editors save: a new file takes the place of the old.
      writeFileSync(`${file}~`, ruleText(String(save)));
      renameSync(`${file}~`, file);
    }
    while ((await ask(gateway, agent, "/")).save !== String(save)) {
      if (performance.now() - startedMs > GIVE_UP_MS) throw new Error(`save ${save} was not live after ${GIVE_UP_MS} ms:\n${gateway.output().slice(-2_000)}`);
    }
    tookMs.push(performance.now() - startedMs);
    if (save % 10 === 0) say(`  ${save} saves, the last was live after ${tookMs.at(-1)!.toFixed(0)} ms`);
  }
  return tookMs;
}

/** Says what did not go as it should. */
async function breakAndMend(gateway: Gateway, agent: Agent): Promise<string[]> {
  const file = join(gateway.folder, "rules", "hello.ts");
  const lastGood = (await ask(gateway, agent, "/")).save;
  const from = gateway.output().length;
  const broken = ruleText("broken").replace("onResponse(res) {", "onResponse(res) { const oops = ;");
  const line = broken.split("\n").findIndex((text) => text.includes("= ;"));
  const expected = `rules/hello.ts:${line + 1}:${broken.split("\n")[line]!.indexOf(";") + 1}`;
  writeFileSync(file, broken);
  const [where] = await gateway.printed(/rules\/hello\.ts:\d+:\d+/, from);
  const page = await until(gateway, agent, (answer) => answer.status !== 200, "text/html");
  const data = await ask(gateway, agent, "/data.json", "application/json");
  writeFileSync(file, ruleText("mended"));
  await until(gateway, agent, (answer) => answer.save === "mended");
  return [
    where !== expected && `the terminal shows ${where} instead of ${expected}`,
    !page.body.includes(expected) && `the page does not show ${expected}`,
    !page.body.includes("oops = ;") && "the page shows no code frame",
    (data.status !== 200 || data.save !== lastGood) && `the last good release did not keep serving (${data.status})`,
  ].filter((fault) => fault !== false);
}

async function until(gateway: Gateway, agent: Agent, wanted: (answer: Seen) => boolean, accept?: string): Promise<Seen> {
  const startedMs = performance.now();
  for (;;) {
    const answer = await ask(gateway, agent, "/", accept);
    if (wanted(answer)) return answer;
    if (performance.now() - startedMs > GIVE_UP_MS) throw new Error(`dev did not get there within ${GIVE_UP_MS} ms:\n${gateway.output().slice(-2_000)}`);
  }
}

interface Seen {
  readonly status: number;
  readonly save: string;
  readonly body: string;
}

function ask(gateway: Gateway, agent: Agent, path: string, accept = "*/*"): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const asked = get(`${gateway.url}${path}`, { agent, headers: { accept }, timeout: GIVE_UP_MS }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => (body += piece));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, save: String(response.headers["x-save"] ?? ""), body }));
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer in time")));
    asked.on("error", reject);
  });
}

function ruleText(save: string): string {
  return `import { defineRule } from "sluice";

export default defineRule({
  onResponse(res) {
    res.headers.set("x-save", "${save}");
  },
});
`;
}
