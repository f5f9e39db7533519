/** What a rule's code and its `defineRule` tell: recomputed by whoever compiles, never believed. */
import type { RuleManifest } from "./release.ts";
import { PHASES } from "./release.ts";
import { isStateless } from "./stateless.ts";
import type { RuleDescription } from "./describe.ts";
import type { MatchSpec } from "../proxy/match/match.ts";

/** Service → the words by which code reaches it. A rule whose code holds none of them gets no answer at run time, however it spells the call. */
const SERVICE_WORDS: Readonly<Record<string, RegExp>> = {
  fetch: /\bfetch\b/,
  jwt: /\bjwt\b/,
  hmac: /\bhmac\b/,
  forward: /\bforward\b/,
  cache: /\bcache\b/,
  kv: /\bkv\b/,
  limit: /\blimit\b/,
  timer: /\b(?:setTimeout|timeout)\b/,
  requestBody: /\b(?:text|json|bytes|arrayBuffer|formData|blob|body|fromFetchHandler)\b/,
  responseBody: /\b(?:text|json|bytes|arrayBuffer|formData|blob|body)\b/,
};
const READS_BODY = /\.(?:text|json|bytes|arrayBuffer|formData|blob)\(|\bfromFetchHandler\b/;
const ASKS_EXPERIMENT = /\bexperiment\b(?:\(\s*(["'`])([\w.-]{1,64})\1\s*\))?/g;
const URL_LITERAL = /https?:\/\/[^\s"'`\\<>(){}$]+/g;

export function manifestOf(name: string, code: string, described: RuleDescription): RuleManifest {
  return {
    name,
    order: described.order,
    when: described.when as readonly MatchSpec[],
    phases: PHASES.filter((phase) => described.phases.includes(phase)),
    secrets: [...new Set(described.secrets)].sort(),
    onFailure: described.onFailure === "open" ? "open" : "closed",
    services: Object.keys(SERVICE_WORDS)
      .filter((service) => SERVICE_WORDS[service]!.test(code))
      .sort(),
    hosts: [...new Set([...code.matchAll(URL_LITERAL)].map(([text]) => URL.parse(text)?.origin).filter((origin) => origin !== undefined))].sort(),
    readsBody: READS_BODY.test(code),
    ...asksExperiments(code, described),
    ...(described.globals.length > 0 ? { addsGlobals: true } : {}),
    ...(described.globals.length === 0 && isStateless(code) ? { stateless: true } : {}),
    ...(described.experiment === undefined ? {} : { experiment: described.experiment }),
  };
}

function asksExperiments(code: string, { experiment }: RuleDescription): Pick<RuleManifest, "asksExperiments" | "tracks"> {
  const keys = experiment === undefined ? [...code.matchAll(ASKS_EXPERIMENT)].map((match) => match[2] ?? "*") : [];
  const asks = keys.length === 0 ? {} : { asksExperiments: keys.includes("*") ? ["*"] : [...new Set(keys)].sort() };
  return experiment === undefined && /\btrack\b/.test(code) ? { ...asks, tracks: true } : asks;
}
