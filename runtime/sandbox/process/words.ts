/** Records for the worker that the process itself writes; those about hooks that went well come from the kernel. */
import { str } from "../codec.ts";
import { bounded, errorText } from "../kernel/failure.ts";
import { FromSandbox, Guilt, type LoadError, type RuleFailure } from "../protocol.ts";
import type { Suspect } from "./cpu.ts";

/** Rule number of a STRAY that is nobody's. */
const NO_RULE = 999_999;

export function loaded(release: number, descriptions: readonly unknown[]): string {
  return `${FromSandbox.LOADED};${release};1;${str(JSON.stringify({ rules: descriptions }))}`;
}
export function notLoaded(release: number, error: LoadError): string {
  return `${FromSandbox.LOADED};${release};0;${str(JSON.stringify({ error }))}`;
}
export function isolateLost(release: number, reason: "memory" | "timeout"): string {
  return `${FromSandbox.ISOLATE_LOST};${release};${str(reason)}`;
}
export function pong(sequence: number): string {
  return `${FromSandbox.PONG};${sequence};`;
}
/** `failure`: what the hook is guilty of, or null; it may be suspect all the same. */
export function lost(call: number, failure: RuleFailure | null, isSuspect = false): string {
  if (failure === null) return `${FromSandbox.LOST};${call};${isSuspect ? Guilt.SUSPECT : Guilt.NONE};${str("")}`;
  return `${FromSandbox.LOST};${call};${Guilt.CERTAIN};${str(JSON.stringify(failure))}`;
}
/** `waitUntil` work that went down with its isolate. */
export function lostTail(call: number): string {
  return `${FromSandbox.TAIL};${call};${str("")}0;`;
}
export function stray(release: number, rule: number | null, thrown: unknown): string {
  const failure: RuleFailure = { kind: "threw", ...thrownText(thrown) };
  return `${FromSandbox.STRAY};${release};${rule ?? NO_RULE};${str(JSON.stringify(failure))}`;
}

export function cpuFailure(suspect: Suspect): RuleFailure {
  return { kind: "cpu", message: `used ${Math.round(suspect.usedMs)} ms of CPU and went on, ${suspect.cpuMs} ms are allowed`, stack: "" };
}
export function memoryFailure(memoryBytes: number): RuleFailure {
  return { kind: "memory", message: `the release's isolate holds more than ${memoryBytes} bytes`, stack: "" };
}

/** A value that came out of an isolate as a copy. Frames below the boundary name files of the host. */
export function thrownText(thrown: unknown): { message: string; stack: string } {
  if (!(thrown instanceof Error)) return errorText(thrown);
  const stack = String(thrown.stack ?? "");
  const boundary = stack.indexOf("(<isolated-vm boundary>)");
  const { name, message } = thrown;
  return errorText({ name, message: bounded(message, 4000), stack: boundary < 0 ? "" : stack.slice(0, stack.lastIndexOf("\n", boundary)) });
}
