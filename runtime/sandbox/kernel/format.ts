/** Values as a log shows them. May run the rule's `toJSON`, getters and `toString`, on its own account. */
import { bounded, describe, errorText } from "./failure.ts";

const MAX_UNITS = 8 * 1024;

export function format(values: readonly unknown[]): string {
  let text = "";
  for (const value of values) {
    text += (text === "" ? "" : " ") + formatOne(value);
    if (text.length > MAX_UNITS) break;
  }
  return bounded(text, MAX_UNITS);
}

function formatOne(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "bigint" || typeof value === "symbol") return String(value);
  if (typeof value === "function") return "[function]";
  if (value === null || typeof value !== "object") return String(value);
  if (value instanceof Error) {
    const { message, stack } = errorText(value);
    return stack === "" ? message : stack;
  }
  try {
    return JSON.stringify(value) ?? describe(value);
  } catch {
    // A circle or a bigint somewhere within: the value has no JSON, and a log line is no reason to fail a hook.
    return `[${describe(value)} without JSON]`;
  }
}
