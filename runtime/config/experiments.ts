/** The key `experiments`: how many units are kept, and where exposures and goals go beside the store. */
import path from "node:path";
import { shown } from "./problems.ts";
import type { ExperimentsConfig } from "./resolved.ts";
import type { ConfigInput } from "./schema.ts";
import { secretOf, type StoreParts } from "./store.ts";

const MOST_UNITS = 1_000_000;

const LEAST_KEY_LENGTH = 32;

export function experimentsOf(input: ConfigInput["experiments"], parts: StoreParts): ExperimentsConfig {
  const { baseDir, report } = parts;
  const { file, webhook, unit = "hashed" } = input?.raw ?? {};
  if (input?.raw !== undefined && (file === undefined) === (webhook === undefined))
    report(["experiments", "raw"], `found ${file === undefined ? "no target" : "file and webhook"}, expected exactly one of file and webhook`);
  if (webhook !== undefined && !isHttp(webhook)) report(["experiments", "raw", "webhook"], `found ${shown(webhook)}, expected an http or https URL`);
  const target = file !== undefined ? ({ kind: "file", file: path.resolve(baseDir, file) } as const) : ({ kind: "webhook", url: webhook ?? "" } as const);
  if (input?.key === undefined && input?.previousKeys !== undefined) report(["experiments", "previousKeys"], "found earlier keys, expected key beside them");
  const keys = input?.key === undefined ? [] : [keyOf(input.key, ["experiments", "key"], parts)];
  input?.previousKeys?.forEach((key, at) => keys.push(keyOf(key, ["experiments", "previousKeys", at], parts)));
  return {
    keys,
    downstream: input?.downstream ?? "private",
    mostUnits: input?.maxUnits ?? MOST_UNITS,
    raw: input?.raw === undefined ? null : { target, unit },
  };
}

function keyOf(source: Parameters<typeof secretOf>[0], at: readonly (string | number)[], parts: StoreParts): string {
  const key = secretOf(source, at, parts);
  if (key !== "" && key.length < LEAST_KEY_LENGTH) parts.report(at, `found a key of ${key.length} characters, expected at least ${LEAST_KEY_LENGTH}`);
  return key;
}

function isHttp(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.protocol === "http:" || url.protocol === "https:");
}
