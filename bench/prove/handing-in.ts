/** Deploys as `sluice deploy --wait` has them, without compiling each anew: one release of a project, with something changed in it. */
import { createCompiler, releaseId } from "../../runtime/compile/compile.ts";
import type { RuleModule, SourceMaps } from "../../runtime/compile/release.ts";
import { loadConfig } from "../../runtime/config/config.ts";
import type { SharedConfig } from "../../runtime/config/schema.ts";
import { packageOf } from "../../runtime/control/release-package.ts";
import { callGateway } from "./deploying.ts";
import { type Gateway, pause } from "./gateway.ts";
import { PacedLoad } from "./paced-load.ts";

export interface Built {
  readonly config: SharedConfig;
  readonly rules: readonly RuleModule[];
  readonly maps: SourceMaps;
}

const DEADLINE_MS = 30_000;
const POLL_MS = 20;

export async function build(folder: string): Promise<Built> {
  const { config } = await loadConfig(folder);
  await using compiler = createCompiler(config);
  const { release, maps, problems } = await compiler.rebuild();
  if (release === null) throw new Error(problems.map(({ text }) => text).join("\n"));
  return { config: config.shared, rules: release.rules, maps };
}

/** Resolves with the milliseconds from handing in to serving. Enters what the release is called under its word. */
export async function handIn(gateway: Gateway, { config, rules, maps }: Built, word: string, base: number, ids: Map<string, string>): Promise<number> {
  const id = releaseId(rules, config);
  ids.set(word, id);
  const startedMs = performance.now();
  const handed = packageOf({ id, format: 1, rules }, config, maps, { author: "prove", message: word, commit: "", builtUnixMs: Date.now() });
  await callGateway(gateway, "/v1/releases", { package: handed, maps });
  let rollout = await callGateway(gateway, "/v1/rollouts", { release: id, base });
  while (rollout["state"] === "preparing" || rollout["state"] === "active") {
    if (performance.now() - startedMs > DEADLINE_MS) throw new Error(`the deploy of ${word} is still ${String(rollout["state"])}`);
    await pause(POLL_MS);
    rollout = await callGateway(gateway, `/v1/rollouts/${String(rollout["number"])}`);
  }
  if (rollout["state"] !== "serving") throw new Error(`the deploy of ${word} ended ${String(rollout["state"])}: ${String(rollout["reason"])}`);
  return performance.now() - startedMs;
}

/** Steady load on a gateway whose rule stamps requests and answers with its release's word: an answer of two releases counts as failed. */
export function stampedLoad({ port }: Gateway, connections: number, perSecond: number, ids: ReadonlyMap<string, string>): PacedLoad {
  return new PacedLoad({ port, connections, perSecond, path: (n) => `/${n}`, judge: (head, body) => stampsAgree(head, body, ids) });
}

/** "" when the word of the request's hook, which the origin sends back, the word of the response's hook and the gateway's Sluice-Release are of one release. */
function stampsAgree(head: string, body: string, ids: ReadonlyMap<string, string>): string {
  const out = /\r\nx-out: (\S+)/i.exec(head)?.[1];
  const release = /\r\nsluice-release: (\S+)/i.exec(head)?.[1];
  return head.startsWith("HTTP/1.1 200") && body === out && ids.get(body) === release ? "" : `${head.slice(0, 15)} ${body} ${out} ${release}`;
}
