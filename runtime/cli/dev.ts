/**
 * `sluice dev`: one worker in the foreground. A save is compiled and swapped in at once, types are checked behind it; a broken save is
 * shown in the terminal and to browsers, and the last good release keeps serving.
 */
import { type FSWatcher, statSync, watch } from "node:fs";
import path from "node:path";
import { createCompiler, type CompileResult, type Compiler, typecheck } from "../compile/compile.ts";
import { EMPTY_RELEASE, type Release } from "../compile/release.ts";
import { ConfigError, loadConfig } from "../config/config.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { runUntilStopped, type Supervisor } from "../supervisor/supervisor.ts";
import { outsideSources } from "./outside-sources.ts";
import { problemPage } from "./problem-page.ts";
import { holding } from "./release-words.ts";
import { announce, processLog, startGateway } from "./start.ts";
import { formatProblem, type Terminal } from "./terminal.ts";

/** Editors write in several steps; what comes within this is one save. */
const SETTLE_MS = 15;
/** File systems take their time from a clock that ticks this often, at most. */
const FILE_TICK_MS = 20;

export async function dev(options: { readonly config: string; readonly port?: number }, terminal: Terminal): Promise<number> {
  const load = async (): Promise<ResolvedConfig> => {
    const { config, warnings } = await loadConfig(options.config);
    for (const warning of warnings) terminal.warn(warning);
    const listeners = options.port === undefined ? config.listeners : [{ ...config.listeners[0]!, port: options.port }, ...config.listeners.slice(1)];
    return { ...config, workers: 1, listeners };
  };
  const session = new DevSession(await load(), load, terminal);
  return session.run();
}

class DevSession {
  readonly #load: () => Promise<ResolvedConfig>;
  readonly #terminal: Terminal;
  #config: ResolvedConfig;
  #compiler: Compiler;
  #supervisor: Supervisor | null = null;
  /** Id of the release that serves; "" while none ever compiled. */
  #serving = "";
  /** The same: what the next one is to follow. */
  #release: Release = EMPTY_RELEASE;
  #first: CompileResult | null = null;
  /** Of the type check that runs: a save makes it outdated, and it may take all of a machine for many seconds. */
  #types = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #configChanged = false;
  #saves: Promise<void> = Promise.resolve();
  readonly #watchers: FSWatcher[] = [];
  #rulesWatcher: FSWatcher | null = null;
  #watchedRules = "";
  /** Folders outside the rules folder that are watched, and the files in them that count. */
  readonly #outside = new Map<string, Set<string>>();

  constructor(config: ResolvedConfig, load: () => Promise<ResolvedConfig>, terminal: Terminal) {
    this.#config = config;
    this.#load = load;
    this.#terminal = terminal;
    this.#compiler = createCompiler(config, { warm: true });
  }

  async run(): Promise<number> {
    const compile = async () => {
      const result = await this.#rebuild();
      this.#first = result;
      // Nothing good to fall back on yet: start without rules, and let every request see what is wrong.
      return { release: result.release ?? EMPTY_RELEASE, maps: result.maps, problems: [] };
    };
    const started = Promise.withResolvers<void>();
    this.#saves = started.promise;
    // Before anything is compiled: a save while the gateway starts is seen, and takes its turn when it serves.
    this.#watch();
    try {
      const supervisor = await startGateway(this.#config, this.#load, compile, this.#terminal, processLog());
      if (supervisor === null) return 1;
      this.#supervisor = supervisor;
      announce(supervisor, this.#terminal);
      await this.#shown(this.#first!);
      started.resolve();
      return await runUntilStopped(supervisor);
    } finally {
      for (const watcher of [...this.#watchers, this.#rulesWatcher]) watcher?.close();
      clearTimeout(this.#timer);
      this.#types.abort();
      await this.#compiler[Symbol.asyncDispose]();
    }
  }

  #watch(): void {
    const { file } = this.#config;
    this.#watchRules();
    if (file !== "") {
      this.#watchers.push(
        watch(path.dirname(file), (_event, name) => {
          if (name === path.basename(file)) this.#saved(true);
        }),
      );
    }
  }

  #watchRules(): void {
    const { rulesDir } = this.#config;
    if (rulesDir === this.#watchedRules) return;
    this.#rulesWatcher?.close();
    this.#rulesWatcher = rulesDir === "" ? null : watch(rulesDir, { recursive: true }, () => this.#saved(false));
    this.#watchedRules = rulesDir;
  }

  async #rebuild(): Promise<CompileResult> {
    const sinceUnixMs = Date.now();
    const result = await this.#compiler.rebuild(this.#release);
    this.#watchOutside(result, sinceUnixMs);
    return result;
  }

  /** What rules import from elsewhere, also a file that is broken; a folder stays watched once it was. */
  #watchOutside(result: CompileResult, sinceUnixMs: number): void {
    for (const [folder, names] of outsideSources(result, this.#config)) {
      const known = this.#outside.get(folder);
      const counting = known ?? new Set<string>();
      for (const name of names) counting.add(name);
      if (known !== undefined) continue;
      this.#outside.set(folder, counting);
      this.#watchers.push(
        watch(folder, (_event, name) => {
          if (name !== null && counting.has(name)) this.#saved(false);
        }),
      );
      // Nobody watched while it was compiled.
      if ([...names].some((name) => isSavedSince(path.join(folder, name), sinceUnixMs))) this.#saved(false);
    }
  }

  #saved(isConfig: boolean): void {
    this.#configChanged ||= isConfig;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#saves = this.#saves.then(() => this.#apply()).catch((error: unknown) => this.#terminal.failure(error));
    }, SETTLE_MS);
  }

  async #apply(): Promise<void> {
    const startedMs = performance.now();
    this.#types.abort();
    if (this.#configChanged) {
      this.#configChanged = false;
      await this.#reloadConfig();
      return;
    }
    const result = await this.#rebuild();
    if (result.release === null) {
      await this.#shown(result);
      return;
    }
    if (result.release.id !== this.#serving) await this.#supervisor!.deploy(result.release, result.maps);
    await this.#shown(result, performance.now() - startedMs);
  }

  async #reloadConfig(): Promise<void> {
    try {
      this.#config = await this.#load();
      await this.#compiler[Symbol.asyncDispose]();
      this.#compiler = createCompiler(this.#config, { warm: true });
      await this.#supervisor!.reload();
      this.#watchRules();
      await this.#shown(this.#first!);
    } catch (thrown) {
      if (thrown instanceof ConfigError) this.#terminal.configError(thrown);
      else this.#terminal.failure(thrown);
      this.#terminal.say("the config that serves stays as it was");
    }
  }

  /** Tells terminal and browsers how the last save went, then lets TypeScript have its say. */
  async #shown(result: CompileResult, tookMs?: number): Promise<void> {
    if (result.release === null) {
      for (const problem of result.problems) this.#terminal.problem(`\n${formatProblem(problem)}`);
      this.#terminal.say(this.#serving === "" ? "nothing is served until it is mended" : `release ${this.#serving} keeps serving`);
      await this.#supervisor!.showProblem({ ...problemPage(result.problems, this.#serving), everyRequest: this.#serving === "" });
      return;
    }
    await this.#supervisor!.showProblem(null);
    this.#serving = result.release.id;
    this.#release = result.release;
    this.#terminal.say(`release ${this.#serving} is live: ${holding(result.release.rules)}${tookMs === undefined ? "" : ` (${Math.round(tookMs)} ms)`}`);
    this.#terminal.warnings(result.warnings);
    void this.#checkTypes();
  }

  async #checkTypes(): Promise<void> {
    this.#types.abort();
    const { signal } = (this.#types = new AbortController());
    try {
      const problems = await typecheck(this.#config, { signal, inBackground: true });
      for (const problem of problems) this.#terminal.problem(`\n${formatProblem(problem)}`);
      if (problems.length > 0)
        this.#terminal.say(`${problems.length} type problem${problems.length === 1 ? "" : "s"}; the release serves, check and deploy will refuse it`);
    } catch (thrown) {
      if (!signal.aborted) this.#terminal.failure(thrown);
    }
  }
}

/** One that is gone was, too. The time of the change, not of the content: an editor may put an older file in its place. */
function isSavedSince(file: string, unixMs: number): boolean {
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined || found.ctimeMs >= unixMs - FILE_TICK_MS;
}
