/**
 * One isolate per release, with its contexts: 0 for the rules without secrets, one more for each that has some. Hands batches
 * of records to the kernels inside and brings their records back; a lost isolate is made anew by itself.
 */
import type * as IsolatedVm from "isolated-vm";
import { KERNEL_NAME } from "../kernel/failure.ts";
import { Mark } from "../kernel/mark.ts";
import { type LoadMessage, SHARED_CONTEXT } from "../protocol.ts";
import { Patience, suspectOf } from "./cpu.ts";
import { ivm, LOAD_MS, LoadFailed, RuleContext } from "./rule-context.ts";
import { type RunningCall, RunningCalls } from "./running-calls.ts";
import { cpuFailure, isolateLost, loaded, lost, lostTail, memoryFailure, notLoaded, stray, thrownText } from "./words.ts";

const MIB = 1024 * 1024;
/** isolated-vm takes no less. */
const MIN_MEMORY_MIB = 8;
/** A module that was starved of the processor is evaluated again with this much. Both together stay below what the worker waits for. */
const PATIENT_LOAD_MS = 3000;
/** Batches with one record per entry, after a time-out that could not be pinned on one hook. */
const CAREFUL_BATCHES = 64;

/** Records that one context gets in one go. */
export interface Batch {
  readonly context: number;
  readonly records: string;
  /** Hook calls that begin with it. */
  readonly calls: readonly number[];
  /** The largest bound among its hooks. */
  readonly cpuMs: number;
}

export class ReleaseIsolate {
  readonly release: number;
  readonly #message: LoadMessage;
  readonly #running = new RunningCalls();
  readonly #patience = new Patience();
  readonly #contexts = new Map<number, RuleContext>();
  #isolate: IsolatedVm.Isolate | null = null;
  #carefulBatches = 0;
  #enteredCpuUs = 0;
  #enteredAllCpuUs = 0;
  /** Hook calls and replies begun in this isolate before the entry that runs. */
  #begun = 0;

  constructor(release: number, message: LoadMessage) {
    this.release = release;
    this.#message = message;
  }

  /** Makes the isolate. Gives LOADED, which tells whether that went well. */
  make(): string {
    try {
      return loaded(this.release, this.#fillPatiently());
    } catch (thrown) {
      this.dispose();
      return notLoaded(this.release, thrown instanceof LoadFailed ? thrown.error : { rule: "", ...thrownText(thrown) });
    }
  }

  dispose(): void {
    this.#contexts.clear();
    if (this.#isolate?.isDisposed === false) this.#isolate.dispose();
    this.#isolate = null;
  }

  /** A call that waits here, or undefined. */
  waiting(call: number): RunningCall | undefined {
    return this.#running.get(call);
  }
  forget(call: number): void {
    this.#running.forget(call);
  }

  /**
   * Gives records for the worker to `emit`, entry by entry. When the isolate is lost they end with ISOLATE_LOST, LOST for each hook that
   * was running, and LOADED of the new one. What precedes the making of that one is to leave at once: it may take long.
   */
  run(batch: Batch, emit: (records: string, atOnce?: boolean) => void): void {
    const context = this.#contexts.get(batch.context);
    if (context === undefined || this.#isolate === null) {
      for (const call of batch.calls) emit(lost(call, null));
      return;
    }
    const { mark } = context;
    const tracked = this.#running.size > 0;
    let output = "";
    const take = (records: string): void => {
      output += records;
      emit(records);
    };
    mark[Mark.CAREFUL] = this.#carefulBatches > 0 ? 1 : 0;
    if (this.#carefulBatches > 0) this.#carefulBatches--;
    for (let records = batch.records; ; records = "") {
      if (!this.#enter(context, records, batch.cpuMs, take)) {
        this.#lose(batch, context, output, emit);
        return;
      }
      // Ends: each further entry takes a record, or collects what the last one's microtasks did.
      if (mark[Mark.AGAIN] !== 1) break;
    }
    if (tracked || mark[Mark.PENDING] !== 0) this.#note(batch, output);
  }

  /** False when the isolate is lost. */
  #enter(context: RuleContext, records: string, cpuMs: number, take: (records: string) => void): boolean {
    const timeoutMs = this.#patience.entryMs(cpuMs);
    this.#enteredCpuUs = threadCpuUs();
    this.#enteredAllCpuUs = allCpuUs();
    const since = performance.now();
    try {
      take(context.enter(records, timeoutMs));
      this.#begun += context.mark[Mark.BEGUN] ?? 0;
      return true;
    } catch (thrown) {
      // A rejection that nobody awaited stands in the place of the result. It may say anything, also "timed out": time decides.
      if (this.#isolate!.isDisposed || performance.now() - since >= timeoutMs - 1) return false;
      take(stray(this.release, context.mark[Mark.RULE] ?? null, thrown));
    }
    this.#begun += context.mark[Mark.BEGUN] ?? 0;
    try {
      take(context.recover());
      return true;
    } catch (thrown) {
      take(stray(this.release, null, thrown));
      return false;
    }
  }

  #lose(batch: Batch, context: RuleContext, output: string, emit: (records: string, atOnce?: boolean) => void): void {
    const memory = this.#isolate!.isDisposed;
    const suspect = suspectOf(context.mark, memory ? 0 : this.#entryCpuUs() / 1000);
    // What filled the isolate may be what another rule kept from earlier hooks: only its first hook is guilty for sure, others are tried.
    const filledIt = this.#begun + (context.mark[Mark.BEGUN] ?? 0) <= 1;
    const used = suspect.usedMs >= suspect.cpuMs || this.#madeOthersWork(context, suspect.cpuMs);
    const guilty = suspect.certain && (memory ? filledIt : used);
    if (!suspect.certain) this.#carefulBatches = CAREFUL_BATCHES;
    else if (!guilty && !memory) this.#patience.lengthen();
    this.#note(batch, output);
    emit(isolateLost(this.release, memory ? "memory" : "timeout"), true);
    const failure = memory ? memoryFailure(this.#message.memoryBytes) : cpuFailure(suspect);
    // Where several had left microtasks behind, any hook that began with them may have spun.
    const suspects = memory ? [] : suspect.certain ? [suspect.call] : batch.calls;
    for (const call of this.#running.takeHooks()) emit(lost(call, guilty && call === suspect.call ? failure : null, suspects.includes(call)));
    // `waitUntil` work that is not guilty is given up.
    for (const call of this.#running.takeTails()) emit(guilty && call === suspect.call ? lost(call, failure) : lostTail(call));
    this.dispose();
    emit(this.make());
  }

  #note(batch: Batch, output: string): void {
    this.#running.begin(batch.calls, { context: batch.context, cpuMs: batch.cpuMs });
    this.#running.note(output);
  }

  /**
   * What collects garbage does so on threads of its own, while the one that made it waits: its CPU is the hook's that stood alone in the entry.
   * So much of it, and no busy machine made the entry late.
   */
  #madeOthersWork({ mark }: RuleContext, cpuMs: number): boolean {
    return (mark[Mark.BEGUN] ?? 0) <= 1 && (allCpuUs() - this.#enteredAllCpuUs) / 1000 >= cpuMs * ALL_THREADS_FACTOR;
  }

  #entryCpuUs(): number {
    return threadCpuUs() - this.#enteredCpuUs;
  }
  #takeCpuUs(): number {
    const taken = takenCpuUs;
    takenCpuUs = threadCpuUs();
    return takenCpuUs - taken;
  }

  /** On a busy machine time passes without a module's doing. */
  #fillPatiently(): unknown[] {
    try {
      return this.#fill(LOAD_MS);
    } catch (thrown) {
      if (!(thrown instanceof LoadFailed && thrown.starved)) throw thrown;
      this.dispose();
      return this.#fill(PATIENT_LOAD_MS);
    }
  }

  #fill(loadMs: number): unknown[] {
    const message = this.#message;
    this.#begun = 0;
    const isolate = new ivm.Isolate({ memoryLimit: Math.max(MIN_MEMORY_MIB, Math.ceil(message.memoryBytes / MIB)) });
    this.#isolate = isolate;
    const kernel = compileKernel(isolate, message.kernel);
    const contextOf = (number: number): RuleContext => {
      let context = this.#contexts.get(number);
      if (context === undefined) {
        context = new RuleContext(isolate, kernel, { takeUs: () => this.#takeCpuUs(), entryUs: () => this.#entryCpuUs() });
        this.#contexts.set(number, context);
      }
      return context;
    };
    const descriptions = message.rules.map((rule, index) => contextOf(rule.context).load(rule, index, message, loadMs));
    for (const [number, context] of this.#contexts) context.seal(number === SHARED_CONTEXT);
    // Loading is nobody's.
    takenCpuUs = threadCpuUs();
    return descriptions;
  }
}

/** Of the last kernel compiled: all releases come with the same one, and from the cache it takes 0.4 ms instead of 5. */
let compiled: { readonly code: string; readonly data: IsolatedVm.ExternalCopy<ArrayBuffer> } | null = null;

function compileKernel(isolate: IsolatedVm.Isolate, code: string): IsolatedVm.Script {
  if (compiled?.code === code) return isolate.compileScriptSync(code, { filename: KERNEL_NAME, cachedData: compiled.data });
  const script = isolate.compileScriptSync(code, { filename: KERNEL_NAME, produceCachedData: true });
  const { cachedData } = script as { cachedData?: IsolatedVm.ExternalCopy<ArrayBuffer> };
  compiled = cachedData === undefined ? null : { code, data: cachedData };
  return script;
}

/** As much as an entry may take of wall time: what took that much of CPU was not starved. */
const ALL_THREADS_FACTOR = 1.5;

/**
 * Up to here some rule has been charged, of whichever release: the clock is the thread's, so a release with few requests beside one with many
 * would be charged for what those cost (8 times its own was seen).
 */
let takenCpuUs = 0;

/** CPU of this thread, µs (0.4 µs a call). Not `isolate.cpuTime`: while the isolate runs that is wall time, and a busy machine would make everybody guilty. */
function threadCpuUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** CPU of all threads of this process, µs. */
function allCpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
