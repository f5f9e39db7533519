/** The messages that are mutated: each is read in a way of its own. Kept in `corpus/`; `--save` adds what a run found. */
import { readFileSync, writeFileSync } from "node:fs";

export type Side = "requests" | "responses";
export const SIDES: readonly Side[] = ["requests", "responses"];

/** A corpus is read by people, too. */
const MOST_TEXTS = 250;
const LONGEST_TEXT = 400;

export function readCorpus(side: Side): string[] {
  return JSON.parse(readFileSync(fileOf(side), "utf8")) as string[];
}

/** Adds the shortest of what is new. Returns how many were added. */
export function saveToCorpus(side: Side, texts: readonly string[]): number {
  const kept = readCorpus(side);
  const fresh = texts.filter((text) => text.length <= LONGEST_TEXT && !kept.includes(text)).sort((a, b) => a.length - b.length);
  const added = fresh.slice(0, Math.max(0, MOST_TEXTS - kept.length));
  // Escaped, so that no tool changes a line end or a control byte.
  const escaped = JSON.stringify([...kept, ...added], null, 2).replaceAll(/[\x7f-\xff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
  writeFileSync(fileOf(side), `${escaped}\n`);
  return added.length;
}

function fileOf(side: Side): URL {
  return new URL(`corpus/${side}.json`, import.meta.url);
}
