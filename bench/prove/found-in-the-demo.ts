/** The demo shop with its built-in visitors: does the report name the variant that really moves them, and the one that really drives them away? */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { runShop } from "../../rules-examples/shop/run-shop.ts";
import { startTraffic, trueShares } from "../../rules-examples/shop/traffic.ts";
import { sluiceCommand } from "../load/checkout.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { pause } from "./gateway.ts";

const VISITORS_PER_SECOND = 60;
const GIVE_UP_AFTER_MS = 10 * 60_000;
const SHORT_MS = 20_000;
const LOOK_EACH_MS = 5_000;
/** What the verdict has to be: the offer sells more, pressure sells less. */
const EXPECTED = { "hero-offer": ["winner", "offer"], "product-hurry": ["loser", "hurry"] } as const;
type Key = keyof typeof EXPECTED;
const KEYS = Object.keys(EXPECTED) as Key[];

interface Told {
  readonly arms: readonly { readonly variant: string; readonly units: number }[];
  readonly verdict: { readonly outcome: string; readonly variant: string | null; readonly sentence: string };
  readonly analysis: { readonly variants: readonly { readonly goals: readonly { readonly lift: number | null }[] }[] };
}

export const foundInTheDemo: Claim = {
  name: "found-in-the-demo",
  asked: "the demo's visitors have a known true effect: sluice experiments report finds it, and names the right variant",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const stateDir = mkdtempSync(join(tmpdir(), "sluice-prove-"));
  const shop = await runShop({ ports: { gateway: 0, admin: 0, origins: [0, 0, 0] }, command: "start", stateDir, onLine: () => undefined });
  const traffic = startTraffic({ url: shop.url, visitorsPerSecond: VISITORS_PER_SECOND, onLine: say });
  const startedMs = performance.now();
  const until = startedMs + (short ? SHORT_MS : GIVE_UP_AFTER_MS);
  const token = readFileSync(join(stateDir, "admin-token"), "utf8").trim();
  const found = new Map<Key, { told: Told; seconds: number }>();
  const last = new Map<Key, Told>();
  try {
    while (found.size < KEYS.length && performance.now() < until) {
      await pause(LOOK_EACH_MS);
      for (const key of KEYS) {
        if (found.has(key)) continue;
        const told = await report(key, shop.adminUrl, token);
        last.set(key, told);
        if (told.verdict.outcome !== "open" && told.verdict.outcome !== "waiting") found.set(key, { told, seconds: (performance.now() - startedMs) / 1000 });
      }
    }
  } finally {
    await traffic.stop();
    await shop.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
  const { people, bots, orders, failed } = traffic.counts;
  const sentences = KEYS.map((key) => sentenceOf(key, found.get(key)?.told ?? last.get(key), found.get(key)?.seconds));
  return judged(`${people.toLocaleString("en")} visitors, ${bots} bots, ${orders} orders, ${failed} failed. ${sentences.join(" ")}`, [
    ...KEYS.map((key) => wrongOf(key, found.get(key)?.told)),
    failed > people * 0.01 && `${failed} visitors met a failure`,
  ]);
}

function wrongOf(key: Key, told: Told | undefined): string | false {
  const [outcome, variant] = EXPECTED[key];
  if (told === undefined) return `${key} was not decided`;
  const { verdict } = told;
  return (verdict.outcome !== outcome || verdict.variant !== variant) && `${key} is said to be: ${verdict.outcome} ${verdict.variant ?? ""}`;
}

function sentenceOf(key: Key, told: Told | undefined, seconds: number | undefined): string {
  if (told === undefined) return `${key}: no report.`;
  const { control, ...others } = trueShares()[key] as Record<string, number>;
  const truth = (Object.values(others)[0]! / control! - 1) * 100;
  const units = told.arms.reduce((sum, arm) => sum + arm.units, 0);
  const lift = (told.analysis.variants[0]?.goals[0]?.lift ?? Number.NaN) * 100;
  const decided = seconds === undefined ? "open" : `${told.verdict.outcome} ${told.verdict.variant} after ${seconds.toFixed(0)} s`;
  return `${key}: ${decided}, ${units.toLocaleString("en")} units, ${lift.toFixed(0)} % (truth ${truth.toFixed(0)} %).`;
}

/** As an operator asks. */
async function report(key: string, adminUrl: string, token: string): Promise<Told> {
  const [program, ...args] = sluiceCommand("experiments", "report", key, "--admin", adminUrl, "--json");
  const { stdout } = await promisify(execFile)(program!, args, { env: { ...process.env, SLUICE_ADMIN_TOKEN: token }, maxBuffer: 16 * 1024 * 1024 });
  return JSON.parse(stdout) as Told;
}
