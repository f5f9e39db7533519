/** Which lines of the rules' TypeScript the tests of a process ran. Written to a folder that `sluice test --coverage` reads. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { bundleRules, type RuleFile } from "../compile/bundle.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import { hitsIn, instrument, type Point } from "./instrument.ts";

/** Names the folder; set by the command line. */
export const COVERAGE_FOLDER = "SLUICE_COVERAGE";

/** `[line, column, last line, 1 when it ran]` of each statement. */
type Statement = [line: number, column: number, endLine: number, hit: 0 | 1];

/** Absolute file → its statements, by place. */
export class CoverageBook {
  readonly #files = new Map<string, Map<string, Statement>>();

  add(file: string, { line, column, endLine }: Pick<Point, "line" | "column" | "endLine">, hit: boolean): void {
    let statements = this.#files.get(file);
    if (statements === undefined) this.#files.set(file, (statements = new Map()));
    const key = `${line}:${column}`;
    const known = statements.get(key);
    if (known === undefined) statements.set(key, [line, column, endLine, hit ? 1 : 0]);
    else if (hit) known[3] = 1;
  }

  get files(): ReadonlyMap<string, Iterable<Readonly<Statement>>> {
    return new Map([...this.#files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([file, statements]) => [file, [...statements.values()]]));
  }

  write(folder: string): void {
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      path.join(folder, `${process.pid}.json`),
      JSON.stringify(Object.fromEntries([...this.#files].map(([file, all]) => [file, [...all.values()]]))),
    );
  }
  /** Adds what the processes of a run have written. */
  read(folder: string): void {
    for (const name of readdirSync(folder)) {
      const written = JSON.parse(readFileSync(path.join(folder, name), "utf8")) as Record<string, Statement[]>;
      for (const [file, statements] of Object.entries(written))
        for (const [line, column, endLine, hit] of statements) this.add(file, { line, column, endLine }, hit === 1);
    }
  }
}

const folder = process.env[COVERAGE_FOLDER] ?? "";
export const coverageIsOn = folder !== "";
const book = new CoverageBook();

/** What one release's counters mean. */
export interface Counted {
  readonly release: Release;
  readonly maps: SourceMaps;
  /** True: the line was about counters, and not the rule's own. */
  logged(rule: string, text: string): boolean;
}

/** The release with counters. Outcomes of its rules are not remembered: what is recalled does not run. */
export function counted(release: Release, maps: SourceMaps, baseDir: string): Counted {
  const points = new Map<string, readonly Point[]>();
  const newMaps: Record<string, string> = {};
  const rules = release.rules.map(({ manifest, code }) => {
    const made = instrument(code, maps[manifest.name]!, isOwn);
    points.set(manifest.name, made.points);
    newMaps[manifest.name] = made.map;
    const { stateless: _stateless, ...rest } = manifest;
    return { manifest: rest, code: made.code };
  });
  const hit = (point: Point, ran: boolean): void => book.add(path.resolve(baseDir, point.source), point, ran);
  for (const list of points.values()) for (const point of list) hit(point, point.atLoad);
  return {
    release: { ...release, rules },
    maps: newMaps,
    logged(rule, text) {
      const numbers = hitsIn(text);
      for (const number of numbers ?? []) {
        const point = points.get(rule)?.[number];
        if (point !== undefined) hit(point, true);
      }
      return numbers !== null;
    },
  };
}

/** All statements of rules that perhaps no test has loaded. */
export async function countUntested(into: CoverageBook, files: readonly RuleFile[], baseDir: string): Promise<void> {
  const { bundled } = await bundleRules(files, baseDir, { minify: false });
  for (const { code, map } of bundled) for (const point of instrument(code, map, isOwn).points) into.add(path.resolve(baseDir, point.source), point, false);
}

export function writeCoverage(): void {
  if (coverageIsOn) book.write(folder);
}

/** Packages are somebody else's to test. */
function isOwn(source: string): boolean {
  return !source.split("/").includes("node_modules");
}
