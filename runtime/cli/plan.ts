/** `sluice plan`: what a deploy from this folder would change. */
import { createCompiler } from "../compile/compile.ts";
import { type Change, differenceOf, type ReleaseContent } from "../compile/difference.ts";
import type { SourceMaps } from "../compile/release.ts";
import { loadConfig, mergeConfig } from "../config/config.ts";
import type { SharedConfig } from "../config/schema.ts";
import { type AdminPlace, callAdmin, reaching } from "./admin-call.ts";
import { checkedRules } from "./checked-rules.ts";
import { configNotes, configPlan } from "./config-plan.ts";
import type { Recording } from "../observe/recordings/recordings.ts";
import { replay, type Replay, type ReplaySide } from "./replay.ts";
import { replayLines } from "./replay-text.ts";
import type { Terminal } from "./terminal.ts";

const FAILED = 1;
const DIFFERENCES = 2;
const SIGNS: Readonly<Record<Change["how"], string>> = { added: "+", removed: "-", changed: "~" };

export interface PlanOptions extends AdminPlace {
  /** Play so many recorded requests to both releases. Left out: none. */
  readonly replay?: number;
}

export async function plan(options: PlanOptions, terminal: Terminal): Promise<number> {
  const { config, warnings } = await loadConfig(options.config);
  for (const warning of warnings) terminal.warn(warning);
  return reaching(terminal, async () => {
    await using compiler = createCompiler(config);
    const asked = callAdmin(options, "/v1/releases/current?maps=true");
    const [serving, compiled] = await Promise.all([
      asked,
      checkedRules(
        compiler,
        config,
        asked.then((current) => (current as unknown as Serving).release),
      ),
    ]);
    terminal.warnings(compiled.warnings);
    if (compiled.release === null) {
      terminal.problems(compiled.problems);
      return FAILED;
    }
    const before = serving as unknown as Serving;
    const allowed = new Set([...config.fetch.allow, ...config.fetch.private].map((text) => URL.parse(text)?.origin ?? text));
    const mayFetch = (origin: string): boolean => allowed.has(origin) || [...allowed].some((text) => text.includes("://*.") && fits(origin, text));
    const differs = differenceOf(before, { release: compiled.release, routes: config.routes }, mayFetch);
    const routesTold = differs.some(({ about, subject }) => about === "route" || about === "limit" || subject === "routes");
    const changes = [...differs, ...configPlan(before.config, config.shared, routesTold)];
    const { release, maps } = compiled;
    const replayed = options.replay === undefined ? null : await replayRecorded(options, before, { release, maps, config }, terminal);
    terminal.result({ from: before.release.id, to: release.id, changes, ...(replayed === null ? {} : { replay: replayed.replay }) }, () => [
      ...(changes.length === 0
        ? [`nothing would change: release ${release.id}`]
        : [
            `release ${before.release.id} → ${release.id}`,
            ...changes.map(({ about, how, subject, text }) => `  ${SIGNS[how]} ${about} ${subject}: ${text}`),
            ...configNotes(changes),
          ]),
      ...(replayed === null ? [] : replayLines(replayed.replay, replayed.available)),
    ]);
    return changes.length === 0 && (replayed === null || replayed.replay.different.length === 0) ? 0 : DIFFERENCES;
  });
}

interface Serving extends ReleaseContent {
  readonly config: SharedConfig;
  readonly maps: SourceMaps;
}

const PROGRESS_EVERY = 100;

/** The serving release keeps its own shared config: what it decides with is what was deployed. */
async function replayRecorded(options: PlanOptions, serving: Serving, after: ReplaySide, terminal: Terminal): Promise<{ replay: Replay; available: number }> {
  const answer = await callAdmin(options, `/v1/recordings?last=${options.replay}`);
  const recordings = answer["recordings"] as Recording[];
  const before = { release: serving.release, maps: serving.maps, config: mergeConfig(after.config, serving.config) };
  const said = (done: number): void => {
    if (done % PROGRESS_EVERY === 0) terminal.say(`replaying: ${done} of ${recordings.length}`);
  };
  if (recordings.length > 0) terminal.say(`replaying ${recordings.length} recorded requests`);
  return { replay: await replay(recordings, before, after, said), available: recordings.length };
}

/** "https://*.example.com" stands for every host below example.com. */
function fits(origin: string, wildcard: string): boolean {
  const [scheme = "", host = ""] = wildcard.split("://*");
  return origin.startsWith(`${scheme}://`) && origin.endsWith(host);
}
