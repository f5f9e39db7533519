/** `sluice plan`: what a deploy from this folder would change. */
import { createCompiler } from "../compile/compile.ts";
import { type Change, differenceOf, type ReleaseContent } from "../compile/difference.ts";
import { loadConfig } from "../config/config.ts";
import type { SharedConfig } from "../config/schema.ts";
import { AdminCallError, type AdminPlace, callAdmin } from "./admin-call.ts";
import { configNotes, configPlan } from "./config-plan.ts";
import type { Terminal } from "./terminal.ts";

const FAILED = 1;
const DIFFERENCES = 2;
const SIGNS: Readonly<Record<Change["how"], string>> = { added: "+", removed: "-", changed: "~" };

export async function plan(options: AdminPlace, terminal: Terminal): Promise<number> {
  const { config, warnings } = await loadConfig(options.config);
  for (const warning of warnings) terminal.warn(warning);
  try {
    await using compiler = createCompiler(config);
    const [serving, compiled] = await Promise.all([callAdmin(options, "/v1/releases/current"), compiler.rebuild()]);
    if (compiled.release === null) {
      terminal.problems(compiled.problems);
      return FAILED;
    }
    const before = serving as unknown as ReleaseContent & { readonly config: SharedConfig };
    const allowed = new Set([...config.fetch.allow, ...config.fetch.private].map((text) => URL.parse(text)?.origin ?? text));
    const mayFetch = (origin: string): boolean => allowed.has(origin) || [...allowed].some((text) => text.includes("://*.") && fits(origin, text));
    const differs = differenceOf(before, { release: compiled.release, routes: config.routes }, mayFetch);
    const routesTold = differs.some(({ about, subject }) => about === "route" || subject === "routes");
    const changes = [...differs, ...configPlan(before.config, config.shared, routesTold)];
    terminal.result({ from: before.release.id, to: compiled.release.id, changes }, () =>
      changes.length === 0
        ? [`nothing would change: release ${compiled.release!.id}`]
        : [
            `release ${before.release.id} → ${compiled.release!.id}`,
            ...changes.map(({ about, how, subject, text }) => `  ${SIGNS[how]} ${about} ${subject}: ${text}`),
            ...configNotes(changes),
          ],
    );
    return changes.length === 0 ? 0 : DIFFERENCES;
  } catch (thrown) {
    if (!(thrown instanceof AdminCallError)) throw thrown;
    terminal.problem(thrown.message);
    return FAILED;
  }
}

/** "https://*.example.com" stands for every host below example.com. */
function fits(origin: string, wildcard: string): boolean {
  const [scheme = "", host = ""] = wildcard.split("://*");
  return origin.startsWith(`${scheme}://`) && origin.endsWith(host);
}
