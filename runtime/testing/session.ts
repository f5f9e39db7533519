/** Test files that one process runs one after the other: what `test` and `describe` gather, and what has to be ended with each file. */
import path from "node:path";
import { pathToFileURL } from "node:url";

export interface TestOutcome {
  /** Groups and test, with " › " between. */
  readonly name: string;
  readonly tookMs: number;
  /** With its stack; null when it passed. */
  readonly failure: string | null;
}

export interface FileOutcome {
  readonly file: string;
  readonly tests: readonly TestOutcome[];
  /** What kept the file itself from being run or ended; null: nothing. */
  readonly failure: string | null;
  readonly tookMs: number;
}

interface Declared {
  readonly name: string;
  readonly run: () => void | Promise<void>;
}

/** A test that hangs is a failed test. */
const TEST_TIMEOUT_MS = 60_000;
/** The command line and the project may each have loaded this module. */
const SESSION = Symbol.for("sluice.testing.session");

/** Null: Node's own runner runs this file. */
export function currentSession(): Session | null {
  return (globalThis as { [SESSION]?: Session })[SESSION] ?? null;
}

export class Session {
  /** Of the file that runs. */
  folder = "";
  readonly #showError: (thrown: unknown) => string;
  #declared: Declared[] = [];
  #groups: string[] = [];
  #cleanups: (() => Promise<void>)[] = [];
  /** Ends the wait for the test that runs: something threw that nobody awaited. */
  #stray: ((thrown: unknown) => void) | null = null;

  constructor(showError: (thrown: unknown) => string) {
    this.#showError = showError;
    (globalThis as { [SESSION]?: Session })[SESSION] = this;
    for (const event of ["uncaughtException", "unhandledRejection"] as const) process.on(event, (thrown: unknown) => this.#stray?.(thrown));
  }

  declare(name: string, run: () => void | Promise<void>): void {
    this.#declared.push({ name: [...this.#groups, name].join(" › "), run });
  }
  group(name: string, run: () => void): void {
    this.#groups.push(name);
    try {
      run();
    } finally {
      this.#groups.pop();
    }
  }
  /** Called when the file is over. */
  after(cleanup: () => Promise<void>): void {
    this.#cleanups.push(cleanup);
  }

  async run(file: string): Promise<FileOutcome> {
    const since = performance.now();
    this.folder = path.dirname(file);
    this.#declared = [];
    const tests: TestOutcome[] = [];
    let failure = await this.#attempt(() => import(pathToFileURL(file).href));
    // A test may declare more.
    for (let declared = this.#declared.shift(); declared !== undefined; declared = this.#declared.shift()) {
      const { name, run } = declared;
      const begun = performance.now();
      tests.push({ name, failure: await this.#attempt(run), tookMs: performance.now() - begun });
    }
    for (const cleanup of this.#cleanups.splice(0).reverse()) failure = (await this.#attempt(cleanup)) ?? failure;
    if (failure === null && tests.length === 0) failure = "the file declares no test";
    return { file, tests, failure, tookMs: performance.now() - since };
  }

  async #attempt(run: () => unknown): Promise<string | null> {
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    this.#stray = reject;
    const timer = setTimeout(() => reject(new Error(`it did not end within ${TEST_TIMEOUT_MS} ms`)), TEST_TIMEOUT_MS);
    try {
      await Promise.race([Promise.resolve().then(run), stopped]);
      return null;
    } catch (thrown) {
      return this.#showError(thrown);
    } finally {
      clearTimeout(timer);
      this.#stray = null;
      stopped.catch(() => undefined);
    }
  }
}
