/** Errors of rules as bounded text. Reading a thrown value may run the rule's own getters; whoever calls this is charging that rule. */
import type { RuleFailure } from "../protocol.ts";

export type FailureKind = RuleFailure["kind"];

/** File name of the kernel's script in stack frames. */
export const KERNEL_NAME = "sluice:kernel";

const MESSAGE_UNITS = 2000;
const STACK_UNITS = 8000;
/** Frames of the kernel and of the boundary say nothing to a rule's author, and files of the host are none of its business. */
const FOREIGN_FRAME = /sluice:kernel|<isolated-vm|<anonymous>|node:|:\/\/|[( ]\//;

/** Errors that the kernel itself makes and that are more than "threw". A rule may catch them like any other. */
const kinds = new WeakMap<object, FailureKind>();

export function withKind<E extends Error>(error: E, kind: FailureKind): E {
  kinds.set(error, kind);
  return error;
}

export function failureOf(thrown: unknown): RuleFailure {
  const { message, stack } = errorText(thrown);
  return { kind: (isObject(thrown) ? kinds.get(thrown) : undefined) ?? "threw", message, stack };
}

export function errorText(thrown: unknown): { message: string; stack: string } {
  try {
    if (!isErrorLike(thrown)) return { message: bounded(`${describe(thrown)} was thrown`, MESSAGE_UNITS), stack: "" };
    const name = String(thrown.name ?? "Error");
    const text = String(thrown.message ?? "");
    const message = bounded(name === "Error" || name === "" ? text : `${name}: ${text}`, MESSAGE_UNITS);
    return { message, stack: stackOf(thrown.stack, name, text) };
  } catch {
    return { message: "something was thrown that cannot be read", stack: "" };
  }
}

function stackOf(stack: unknown, name: string, text: string): string {
  if (typeof stack !== "string") return "";
  const bound = bounded(stack, STACK_UNITS * 4);
  // The stack repeats the message as it was when the error was made, over several lines perhaps.
  const frames = bound.slice(Math.max(0, bound.indexOf("\n    at "))).split("\n");
  const own = frames.filter((line) => line.startsWith("    at ") && !FOREIGN_FRAME.test(line));
  return bounded([`${name}: ${bounded(text, MESSAGE_UNITS)}`, ...own].join("\n"), STACK_UNITS);
}

/** One line about any value. Runs no code of the value's. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(bounded(value, 200));
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "a list" : "an object";
    case "bigint":
      return "a bigint";
    default:
      return String(value);
  }
}

export function bounded(text: string, units: number): string {
  return text.length > units ? `${text.slice(0, units)}…` : text;
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function isErrorLike(value: unknown): value is { name?: unknown; message?: unknown; stack?: unknown } {
  return value instanceof Error || (isObject(value) && "message" in value && "stack" in value);
}
