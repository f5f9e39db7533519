/** For whom code runs now: globals such as `Date`, `Math.random`, `console` and `setTimeout` ask here. */
import type { LogLevel } from "./rule-run.ts";

export interface Activity {
  now(): number;
  random(): number;
  /** For `crypto`. While a module is evaluated there is none: what it drew would be the same in every sandbox, and known. */
  randomByte(): number;
  log(level: LogLevel, text: string): void;
  service(name: string, args: object): Promise<unknown>;
}

let activity: Activity | null = null;

export function current(): Activity | null {
  return activity;
}
export function setCurrent(next: Activity | null): void {
  activity = next;
}
