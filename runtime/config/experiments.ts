/** The key `experiments`: how many units are kept, and where exposures and goals go beside the store. */
import path from "node:path";
import { shown } from "./problems.ts";
import type { ExperimentsConfig } from "./resolved.ts";
import type { ConfigInput } from "./schema.ts";

const MOST_UNITS = 1_000_000;

type Report = (path: readonly (string | number)[], text: string) => void;

export function experimentsOf(input: ConfigInput["experiments"], baseDir: string, report: Report): ExperimentsConfig {
  const { file, webhook, unit = "hashed" } = input?.raw ?? {};
  if (input?.raw !== undefined && (file === undefined) === (webhook === undefined))
    report(["experiments", "raw"], `found ${file === undefined ? "no target" : "file and webhook"}, expected exactly one of file and webhook`);
  if (webhook !== undefined && !isHttp(webhook)) report(["experiments", "raw", "webhook"], `found ${shown(webhook)}, expected an http or https URL`);
  const target = file !== undefined ? ({ kind: "file", file: path.resolve(baseDir, file) } as const) : ({ kind: "webhook", url: webhook ?? "" } as const);
  return { mostUnits: input?.maxUnits ?? MOST_UNITS, raw: input?.raw === undefined ? null : { target, unit } };
}

function isHttp(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.protocol === "http:" || url.protocol === "https:");
}
