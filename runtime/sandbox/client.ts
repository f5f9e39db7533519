/** Makes the worker's sandbox: two processes, and everything between asking for a hook and having its outcome. */
import { systemClock, type Clock } from "../clock.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import { asGatewayError, GatewayError } from "../errors.ts";
import { coreTimeFor, Deadlines, silenceFor } from "./deadlines.ts";
import { failureFrom } from "./failures.ts";
import { HeldRelease } from "./held-release.ts";
import { MemoryBounds } from "./memory-bounds.ts";
import { Pair } from "./pair.ts";
import { Runs } from "./runs.ts";
import { SandboxProcess, type ProcessEvents } from "./sandbox-process.ts";
import type { HookOutcome, HookRun, LoadedRelease, Sandbox, SandboxOptions, SandboxStatus } from "./sandbox.ts";

export interface CreateSandboxOptions extends SandboxOptions {
  /** What runs beneath the rules: the text that `kernel/build.ts` makes. */
  readonly kernel: string;
  /** For deadlines. */
  readonly clock?: Clock;
  /** The module of the process, in place of this room's own. */
  readonly processFile?: string;
  /** How long a sandbox that owes something may be silent. */
  readonly silenceMs?: number;
  /** Told when a guard could not be put up. Left out: a warning of the process. */
  readonly warn?: (text: string) => void;
}

/** Failures outside hooks are told up to this often per release; a rule could make millions. */
const MAX_STRAYS = 1000;

export async function createSandbox(options: CreateSandboxOptions): Promise<Sandbox> {
  const sandbox = new WorkerSandbox(options);
  try {
    await sandbox.open();
  } catch (thrown) {
    await sandbox.close();
    throw asGatewayError(thrown);
  }
  return sandbox;
}

class WorkerSandbox implements Sandbox {
  readonly #options: CreateSandboxOptions;
  readonly #pair: Pair;
  readonly #runs: Runs;
  readonly #releases = new Map<number, HeldRelease>();
  readonly #strays = new Map<number, number>();
  #nextNumber = 1;
  #closed = false;

  constructor(options: CreateSandboxOptions) {
    this.#options = options;
    const { clock = systemClock, silenceMs = silenceFor(options.limits.ruleCpuMs) } = options;
    const bounds = new MemoryBounds(options.limits.ruleMemoryBytes);
    this.#pair = new Pair({
      clock,
      events: options.events,
      changed: () => this.#runs.pump(),
      spawn: (isolates) => {
        const spawned = new SandboxProcess({
          clock,
          bounds,
          isolates,
          loadJson: (release) => JSON.stringify(release.loadMessage(options, options.kernel)),
          warn: options.warn ?? ((text) => process.emitWarning(text, "SluiceWarning")),
          events: (sandboxProcess) => this.#eventsOf(sandboxProcess),
          ...(options.processFile === undefined ? {} : { file: options.processFile }),
        });
        this.#deadlines.watch();
        return spawned;
      },
    });
    this.#runs = new Runs({ options, clock, pair: this.#pair, watch: () => this.#deadlines.watch(), ended: (held) => this.#forget(held) });
    this.#deadlines = new Deadlines({ clock, pair: this.#pair, runs: this.#runs, silenceMs, coreMs: coreTimeFor(options.limits.ruleCpuMs) });
  }
  readonly #deadlines: Deadlines;

  open(): Promise<void> {
    return this.#pair.open();
  }

  async load(release: Release, maps: SourceMaps): Promise<LoadedRelease> {
    if (this.#closed) throw new GatewayError("SANDBOX_UNAVAILABLE", "the sandbox is closed");
    const held = new HeldRelease(release, this.#nextNumber++, maps, this.#options, this.#options.clock ?? systemClock);
    held.loadMessage(this.#options, "");
    await this.#pair.load(held);
    this.#releases.set(held.number, held);
    return held;
  }

  unload(release: LoadedRelease): void {
    const held = this.#releases.get(release.number);
    if (held === undefined || held.leaving) return;
    held.leaving = true;
    if (held.running === 0) this.#forget(held);
  }

  recall(run: HookRun): HookOutcome | null {
    const held = run.release;
    return held instanceof HeldRelease && !this.#closed ? this.#runs.recall(run, held) : null;
  }

  run(run: HookRun): Promise<HookOutcome> {
    const held = run.release;
    if (!(held instanceof HeldRelease) || !this.#releases.has(held.number))
      return Promise.reject(new GatewayError("INTERNAL", `release ${held.release.id} is not loaded here`));
    return this.#runs.run(run, held);
  }

  status(): SandboxStatus {
    const quarantined = [...this.#releases.values()].flatMap((held) => held.offences.quarantined().map((rule) => held.nameOf(rule)));
    return {
      activePid: this.#pair.active?.pid ?? 0,
      sparePid: this.#pair.spare?.pid ?? 0,
      restarts: this.#pair.restarts,
      outstanding: this.#runs.outstanding,
      quarantined: [...new Set(quarantined)],
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#runs.close();
    this.#pair.close();
  }

  #forget(held: HeldRelease): void {
    this.#releases.delete(held.number);
    this.#strays.delete(held.number);
    this.#pair.unload(held);
  }

  #eventsOf(sandboxProcess: SandboxProcess): ProcessEvents {
    return {
      ...this.#runs.events(sandboxProcess),
      died: (dead, death) => {
        this.#pair.died(dead, death);
        this.#runs.died(dead, death);
      },
      stray: (release, rule, json) => this.#stray(release, rule, json),
    };
  }

  #stray(release: number, rule: number, json: string): void {
    const held = this.#releases.get(release);
    const count = (this.#strays.get(release) ?? 0) + 1;
    if (held === undefined || count > MAX_STRAYS) return;
    this.#strays.set(release, count);
    const failure = failureFrom(json, held);
    this.#options.events.log({
      rule: held.nameOf(rule),
      release: held.release.id,
      level: "error",
      text: `outside any hook: ${failure.message}${failure.stack === "" ? "" : `\n${failure.stack}`}`,
      exchange: "",
    });
  }
}
