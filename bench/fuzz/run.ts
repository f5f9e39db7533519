/** A run of many blocks over several processes, each watched from outside: one that crashes or hangs is named by the input that it was given. */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BLOCK_CASES, type BlockResult, type Case, type Find, shorten, sort } from "./block.ts";
import type { Side } from "./corpus.ts";

/** A block takes half a second; a machine that does other things gets a hundred times that. */
const BLOCK_DEADLINE_MS = 60_000;
/** More finds of one kind say nothing new. */
const KEPT_OF_A_KIND = 3;
const SHORTENED = /^(?!takes |the process )/;

export interface FuzzOptions {
  readonly count: number;
  readonly seed: number;
  readonly processes: number;
  /** Where finds are written; made when there is one. */
  readonly findsFolder: string;
  /** The program that answers `BlockOrder`s (see fuzz.ts). */
  readonly child: string;
  readonly say: (line: string) => void;
}

export interface BlockOrder {
  readonly seed: number;
  readonly block: number;
  readonly cases: number;
  /** "" or a file into which each case is written before it is tried. */
  readonly traceFile: string;
}

export interface FuzzResult {
  readonly cases: number;
  readonly seconds: number;
  /** Ways in which texts were read: refusals, errors, shapes. */
  readonly kinds: number;
  /** Kinds of finds, with their number. */
  readonly finds: ReadonlyMap<string, number>;
  readonly texts: Readonly<Record<Side, readonly string[]>>;
}

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const run = new Run(options);
  await Promise.all(Array.from({ length: options.processes }, () => run.work()));
  return run.result();
}

class Run {
  readonly #options: FuzzOptions;
  readonly #blocks: number;
  readonly #startedMs = performance.now();
  #next = 0;
  #cases = 0;
  #saidMs = performance.now();
  readonly #finds = new Map<string, number>();
  readonly #kinds = new Map<string, readonly [Side, string]>();

  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#blocks = Math.ceil(options.count / BLOCK_CASES);
  }

  async work(): Promise<void> {
    let child: ChildProcess | null = null;
    while (this.#next < this.#blocks) {
      const block = this.#next++;
      const cases = Math.min(BLOCK_CASES, this.#options.count - block * BLOCK_CASES);
      child ??= fork(this.#options.child, ["--child"], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
      const order: BlockOrder = { seed: this.#options.seed, block, cases, traceFile: "" };
      const result = await ask(child, order);
      if (typeof result === "string") {
        child.kill("SIGKILL");
        child = null;
        await this.#nameCulprit(order, result);
      } else this.#take(result);
      this.#cases += cases;
      this.#progress();
    }
    child?.disconnect();
  }

  result(): FuzzResult {
    const texts: Record<Side, string[]> = { requests: [], responses: [] };
    for (const [side, text] of this.#kinds.values()) texts[side].push(text);
    return { cases: this.#cases, seconds: (performance.now() - this.#startedMs) / 1_000, kinds: this.#kinds.size, finds: this.#finds, texts };
  }

  #take({ finds, kinds }: BlockResult): void {
    for (const [side, kind, text] of kinds) {
      const key = `${side} ${kind}`;
      const known = this.#kinds.get(key);
      if (known === undefined || known[1].length > text.length) this.#kinds.set(key, [side, text]);
    }
    for (const find of finds) this.#keep(find);
  }

  /** The same block again, in a process that writes down each case before it tries it. */
  async #nameCulprit(order: BlockOrder, how: string): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "sluice-fuzz-"));
    const traceFile = join(folder, "case.json");
    const child = fork(this.#options.child, ["--child"], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const again = await ask(child, { ...order, traceFile });
    child.kill("SIGKILL");
    const { index, ...tried } = JSON.parse(readFileSync(traceFile, "utf8")) as Case & { index: number };
    rmSync(folder, { recursive: true, force: true });
    const difference = typeof again === "string" ? again : `${how} (not again when it was repeated)`;
    this.#keep({ ...tried, seed: order.seed, block: order.block, index, difference });
  }

  #keep(find: Find): void {
    const kind = `${find.side}: ${sort(find.difference)}`;
    const times = (this.#finds.get(kind) ?? 0) + 1;
    this.#finds.set(kind, times);
    if (times > KEPT_OF_A_KIND) return;
    const { findsFolder, say } = this.#options;
    // What takes long, crashes or hangs must not be tried here.
    const shortest = SHORTENED.test(find.difference) ? shorten(find) : find.text;
    mkdirSync(findsFolder, { recursive: true });
    const file = join(findsFolder, `${find.side}-${find.seed}-${find.block}-${find.index}.json`);
    writeFileSync(file, `${JSON.stringify({ ...find, shortest }, null, 2)}\n`);
    say(`FOUND ${find.side}: ${find.difference}\n  ${JSON.stringify(shortest.slice(0, 300))}\n  kept in ${file}`);
  }

  #progress(): void {
    if (performance.now() - this.#saidMs < 10_000) return;
    this.#saidMs = performance.now();
    const seconds = (this.#saidMs - this.#startedMs) / 1_000;
    const found = [...this.#finds.values()].reduce((sum, times) => sum + times, 0);
    this.#options.say(
      `  ${this.#cases.toLocaleString("en")} cases in ${seconds.toFixed(0)} s (${Math.round(this.#cases / seconds).toLocaleString("en")}/s), ${this.#kinds.size} kinds, ${found} found`,
    );
  }
}

/** The block's result, or in words how the process failed. */
function ask(child: ChildProcess, order: BlockOrder): Promise<BlockResult | string> {
  return new Promise((resolve) => {
    const settle = (result: BlockResult | string): void => {
      clearTimeout(deadline);
      child.off("message", settle).off("exit", crashed);
      resolve(result);
    };
    const crashed = (code: number | null, signal: string | null): void => settle(`the process crashed (${signal ?? `exit code ${code}`})`);
    const deadline = setTimeout(() => settle(`the process hung for ${BLOCK_DEADLINE_MS / 1_000} s`), BLOCK_DEADLINE_MS);
    child.on("message", settle).on("exit", crashed);
    child.send(order);
  });
}
