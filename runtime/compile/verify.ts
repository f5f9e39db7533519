/** Looks at a release from elsewhere: its modules are evaluated anew, and what they tell about themselves is held against what the release says. */
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import type { ResolvedConfig } from "../config/resolved.ts";
import { createDescriber, type Described } from "./describe.ts";
import { experimentFaults } from "./experiment-check.ts";
import { canonicalJson } from "./identity.ts";
import { manifestOf } from "./manifest.ts";
import type { Release, RuleModule, SourceMaps } from "./release.ts";

export interface Inspected {
  /** Why this gateway cannot run it, with its place where that is known; "" when it can. */
  readonly problem: string;
  /** The first rule that is not what the release says of it; "": none. */
  readonly differs: string;
  /** With the manifests as they are here. */
  readonly release: Release;
}

export async function inspectRelease(config: ResolvedConfig, release: Release, maps: SourceMaps): Promise<Inspected> {
  const refused = (problem: string): Inspected => ({ problem, differs: "", release });
  const bytes = release.rules.reduce((sum, { code }) => sum + Buffer.byteLength(code), 0);
  if (bytes > config.limits.releaseBytes) return refused(`the release takes ${bytes} bytes of code, limits.releaseSize here is ${config.limits.releaseBytes}`);
  for (const { manifest } of release.rules)
    for (const secret of manifest.secrets)
      if (!Object.hasOwn(config.secrets, secret)) return refused(`${manifest.name}: secret "${secret}" is not in this gateway's config`);
  const describer = createDescriber(config, false);
  let described: Map<string, Described>;
  try {
    described = await describer.describe(release.rules.map(({ manifest, code }) => ({ name: manifest.name, file: "", code, map: maps[manifest.name] ?? "" })));
  } finally {
    await describer.close();
  }
  let differs = "";
  const rules: RuleModule[] = [];
  for (const { manifest, code } of release.rules) {
    const { name } = manifest;
    const answer = described.get(name);
    if (answer === undefined) return refused(`${name}: could not be evaluated`);
    if ("problem" in answer) return refused(`${placeOf(name, answer.problem.stack, maps[name])}: ${answer.problem.message}`);
    const here = manifestOf(name, code, answer);
    const [fault] = here.experiment === undefined ? [] : experimentFaults(config, here.experiment);
    if (fault !== undefined) return refused(`${name}: ${fault.text}`);
    if (canonicalJson(here) !== canonicalJson(manifest)) differs ||= name;
    rules.push({ manifest: here, code });
  }
  return { problem: "", differs, release: { ...release, rules } };
}

function placeOf(name: string, stack: string, map: string | undefined): string {
  const frame = new RegExp(`${name.replaceAll(/[.*+?^$()[\]{}|\\]/g, "\\$&")}:(\\d+):(\\d+)`).exec(stack);
  if (frame === null || map === undefined) return name;
  const { source, line, column } = originalPositionFor(new TraceMap(map), { line: Number(frame[1]), column: Number(frame[2]) - 1 });
  return source === null ? name : `${source}:${line}:${column + 1}`;
}
