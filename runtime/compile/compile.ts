/** The door of the compile room: a folder of TypeScript rules in, a content-addressed release out, or a list of what is wrong and where. */
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import path from "node:path";
import { stop } from "esbuild";
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import type { ResolvedConfig } from "../config/resolved.ts";
import { type Bundled, bundleRules, located, type RuleFile } from "./bundle.ts";
import { type Describer, createDescriber, type Described, type RuleDescription } from "./describe.ts";
import { DefinitionPlaces } from "./definition-places.ts";
import { changedExperiments, experimentClashes, experimentFaults, experimentWarnings, type Fault, matchFault } from "./experiment-check.ts";
import { releaseId } from "./identity.ts";
import { manifestOf } from "./manifest.ts";
import { nearest } from "../nearest.ts";
import type { Problem } from "./problem.ts";
import { EMPTY_RELEASE, type Release, type RuleModule, type SourceMaps } from "./release.ts";
import { readsOfMatch } from "../proxy/match/reads.ts";
import { validateMatchSpec } from "../proxy/match/validate.ts";

export type { Problem } from "./problem.ts";
export { canonicalJson, releaseId } from "./identity.ts";
export { typecheck } from "./typecheck.ts";
export { inspectRelease, type Inspected } from "./verify.ts";

export interface CompileResult {
  /** Null when there are problems. */
  readonly release: Release | null;
  readonly maps: SourceMaps;
  readonly problems: readonly Problem[];
  /** What may be meant so, and probably is not. Left out: nothing. */
  readonly warnings?: readonly Problem[];
}

/** Compiles again and again: what did not change since the last time is not evaluated anew, and a process stands ready to evaluate what did. */
export interface Compiler extends AsyncDisposable {
  /** `serving`: what it is to follow; experiments that go on must be the same ones. */
  rebuild(serving?: Release | Promise<Release>): Promise<CompileResult>;
}

/** `warm`: for `dev`, where the next save must not wait for a process to start. */
export function createCompiler(config: ResolvedConfig, { warm = false } = {}): Compiler {
  return compilerFor(config, createDescriber(config, warm), async () => (config.rulesDir === "" ? [] : findRules(config.rulesDir)));
}

/** For rule tests: exactly these files. `kept`: a describer that stays; whoever made it closes it. */
export function compileFiles(config: ResolvedConfig, files: readonly RuleFile[], kept?: Describer, { minify = true } = {}): Compiler {
  const describer = kept === undefined ? createDescriber(config, false) : { ...kept, describe: (rules: readonly Bundled[]) => kept.describe(rules, config) };
  const compiler = compilerFor(config, describer, () => Promise.resolve(files), minify);
  return kept === undefined ? compiler : { ...compiler, [Symbol.asyncDispose]: () => Promise.resolve() };
}

function compilerFor(config: ResolvedConfig, describer: Describer, files: () => Promise<readonly RuleFile[]>, minify = true): Compiler {
  let known = new Map<string, RuleDescription>();
  return {
    async rebuild(serving) {
      const bundle = async () => bundleRules(await files(), config.baseDir, { minify });
      const [{ bundled, problems }, before = EMPTY_RELEASE] = await Promise.all([bundle(), serving]);
      if (problems.length > 0) return { release: null, maps: {}, problems };
      const size = bundled.reduce((sum, { code }) => sum + Buffer.byteLength(code), 0);
      if (size > config.limits.releaseBytes)
        return failed([
          { file: "", line: 0, column: 0, text: `the release takes ${size} bytes of code, limits.releaseSize is ${config.limits.releaseBytes}`, frame: "" },
        ]);
      const described = await describeNew(describer, bundled, known);
      const result = assemble(config, bundled, described, before);
      known = new Map(
        bundled.flatMap(({ name, code }) =>
          described.has(name) && !("problem" in described.get(name)!) ? [[`${name}\n${code}`, described.get(name) as RuleDescription]] : [],
        ),
      );
      return result;
    },
    async [Symbol.asyncDispose]() {
      await describer.close();
      // Its service is a process of its own; it starts again when it is needed.
      await stop();
    },
  };
}

/** Every `*.ts` below the folder is a rule, but for tests, declarations, and what begins with "_" (shared helpers). */
export async function findRules(rulesDir: string): Promise<RuleFile[]> {
  const names: string[] = [];
  const skipped = (entry: string): boolean =>
    entry.startsWith("_") || entry.startsWith(".") || entry === "node_modules" || entry.endsWith(".test.ts") || entry.endsWith(".d.ts");
  for await (const name of glob("**/*.ts", { cwd: rulesDir, exclude: (entry) => skipped(path.basename(entry)) })) {
    const parts = name.split(path.sep);
    if (!parts.some(skipped)) names.push(parts.join("/"));
  }
  return names.sort().map((name) => ({ name, file: path.join(rulesDir, name) }));
}

async function describeNew(describer: Describer, bundled: readonly Bundled[], known: ReadonlyMap<string, RuleDescription>): Promise<Map<string, Described>> {
  const all = new Map<string, Described>();
  const fresh: Bundled[] = [];
  for (const rule of bundled) {
    const before = known.get(`${rule.name}\n${rule.code}`);
    if (before) all.set(rule.name, before);
    else fresh.push(rule);
  }
  for (const [name, described] of await describer.describe(fresh)) all.set(name, described);
  return all;
}

function assemble(config: ResolvedConfig, bundled: readonly Bundled[], described: ReadonlyMap<string, Described>, serving: Release): CompileResult {
  const problems: Problem[] = [];
  const modules: RuleModule[] = [];
  for (const rule of bundled) {
    const answer = described.get(rule.name)!;
    if ("problem" in answer) {
      problems.push(loadProblem(config.baseDir, rule, answer.problem));
      continue;
    }
    const manifest = manifestOf(rule.name, rule.code, answer);
    problems.push(...manifestProblems(config, rule, manifest));
    modules.push({ manifest, code: rule.code });
  }
  const told = (faults: ReadonlyMap<string, readonly Fault[]>): Problem[] =>
    faults.size === 0 ? [] : bundled.flatMap((rule) => locatedFaults(config.baseDir, rule, faults.get(rule.name) ?? []));
  problems.push(...told(experimentClashes(modules)), ...told(changedExperiments(serving, modules)));
  if (problems.length > 0) return failed(problems);
  const warnings = [...told(experimentWarnings(serving, modules)), ...(config.geo === null ? told(unknownCountries(modules)) : [])];
  modules.sort((a, b) => a.manifest.order - b.manifest.order || (a.manifest.name < b.manifest.name ? -1 : 1));
  const maps = Object.fromEntries(bundled.map(({ name, map }) => [name, map]));
  return { release: { id: releaseId(modules, config.shared), format: 1, rules: modules }, maps, problems: [], ...(warnings.length > 0 ? { warnings } : {}) };
}

/** Of a config without `geo`: the machine that deploys may lack what the gateways have. */
function unknownCountries(modules: readonly RuleModule[]): ReadonlyMap<string, readonly Fault[]> {
  const text = "country matches nothing where the config has no geo key, which says how countries are known; this one has none";
  const asking = modules.filter(({ manifest }) => readsOfMatch(manifest.when).includes("country"));
  return new Map(asking.map(({ manifest }) => [manifest.name, [{ text, near: "country" }]]));
}

function failed(problems: readonly Problem[]): CompileResult {
  return { release: null, maps: {}, problems };
}

function manifestProblems(config: ResolvedConfig, rule: Bundled, manifest: RuleModule["manifest"]): Problem[] {
  const found: Fault[] = manifest.experiment === undefined ? [] : experimentFaults(config, manifest.experiment);
  for (const secret of manifest.secrets) {
    if (Object.hasOwn(config.secrets, secret)) continue;
    const names = Object.keys(config.secrets);
    const near = nearest(secret, names);
    const known = near === "" ? (names.length === 0 ? "config names no secrets" : `config names ${names.join(", ")}`) : `did you mean "${near}"?`;
    found.push({ text: `secret "${secret}" is not in config; ${known}`, near: secret });
  }
  for (const spec of manifest.when) found.push(...validateMatchSpec(spec).map((problem) => matchFault("when", problem)));
  return locatedFaults(config.baseDir, rule, found);
}

function locatedFaults(baseDir: string, rule: Bundled, faults: readonly Fault[]): Problem[] {
  return faults.map(({ text, near, path: within, offset }) => {
    const place = within === undefined ? null : new DefinitionPlaces(baseDir, rule).at(within, offset);
    if (place !== null) return located(baseDir, place.source, place.line, place.column, text);
    const { line, column } = whereIs(rule.file, near);
    return located(baseDir, path.relative(baseDir, rule.file), line, column, text);
  });
}

/** Where a word first stands in a source file; the beginning when it does not. */
function whereIs(file: string, word: string | RegExp): { line: number; column: number } {
  const source = readFileSync(file, "utf8");
  const at = typeof word === "string" ? source.indexOf(word) : source.search(word);
  if (at < 0) return { line: 1, column: 1 };
  const before = source.slice(0, at).split("\n");
  return { line: before.length, column: before.at(-1)!.length + 1 };
}

/** A module that threw, looped, or exported no rule: mapped back to TypeScript by the first frame of its own. */
function loadProblem(baseDir: string, rule: Bundled, problem: { message: string; stack: string }): Problem {
  const own = relativeTo(baseDir, rule.file);
  // The call is where it was thrown; what is meant stands somewhere in its argument.
  const within = /\bdefineExperiment: ([^:]+): /.exec(problem.message)?.[1];
  const place = within === undefined ? null : new DefinitionPlaces(baseDir, rule).atText(within);
  if (place !== null) return located(baseDir, place.source, place.line, place.column, problem.message);
  const frame = new RegExp(`${rule.name.replaceAll(/[.*+?^$()[\]{}|\\]/g, "\\$&")}:(\\d+):(\\d+)`).exec(problem.stack);
  if (frame) {
    const mapped = originalPositionFor(new TraceMap(rule.map), { line: Number(frame[1]), column: Number(frame[2]) - 1 });
    if (mapped.source !== null) return located(baseDir, mapped.source, mapped.line, mapped.column + 1, problem.message);
  }
  const { line, column } = whereIs(rule.file, /did not finish/.test(problem.message) ? /\b(?:for|while|do)\b/ : /\bexport\b/);
  return located(baseDir, own, line, column, problem.message);
}

function relativeTo(baseDir: string, file: string): string {
  return path.relative(baseDir, file).split(path.sep).join("/");
}
