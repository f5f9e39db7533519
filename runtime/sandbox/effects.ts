/**
 * What a sandbox wants changed, read as a stranger's words: each effect must be legal in its phase, come from a rule that ran,
 * and hold only what may stand on a wire. Nothing is applied here (`apply-effects.ts` does that, once the whole list was read).
 */
import { GatewayError } from "../errors.ts";
import type { Phase } from "../compile/release.ts";
import { isFieldValue, isToken } from "../proxy/fields.ts";
import { readCacheDecisionWord, readCacheKeyWord } from "./cache-words.ts";
import { CodecError, TextReader } from "./codec.ts";
import { htmlEditFault } from "./html-words.ts";
import { owned } from "./owned.ts";
import { Effect, MAX_BODY_UNITS } from "./protocol.ts";
import type { ResponseView } from "./sandbox.ts";

/** Bounds on effects, this one for each rule of a hook call. A rule's own code meets tighter ones inside; these hold when the inside is broken. */
const MAX_EFFECTS = 2000;
const MAX_FIELD_VALUE_UNITS = 16 * 1024;
const MAX_NAME_UNITS = 256;
const MAX_FIELD_UNITS = 64 * 1024;
const MAX_TARGET_UNITS = 16 * 1024;
const MAX_LOG_UNITS = 16 * 1024;
const MAX_LABELS_UNITS = 2048;

/**
 * Framing and hop-by-hop fields (RFC 9110 section 7.6.1) and Host are the gateway's own: whoever could set them could smuggle.
 * `via`, `forwarded` and `x-forwarded-*` are ordinary here: what the gateway says in them it writes after the rules ran.
 */
const RESERVED: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** One bit for each kind. */
export type LegalEffects = number & { readonly __legal: unique symbol };

function legal(...kinds: readonly number[]): LegalEffects {
  return kinds.reduce((bits, kind) => bits | (1 << kind), 1 << Effect.PLACE) as LegalEffects;
}

const LEGAL: Readonly<Record<Phase, LegalEffects>> = {
  onRequest: legal(
    Effect.METHOD,
    Effect.TARGET,
    Effect.SET_FIELD,
    Effect.APPEND_FIELD,
    Effect.DELETE_FIELD,
    Effect.UPSTREAM,
    Effect.RESPOND,
    Effect.LOG,
    Effect.METRIC,
    Effect.STATE,
    Effect.CACHE_KEY,
    Effect.READS,
    Effect.EXPERIMENT,
    Effect.TRACK,
    Effect.ASKED,
  ),
  onOriginRequest: legal(
    Effect.METHOD,
    Effect.TARGET,
    Effect.SET_FIELD,
    Effect.APPEND_FIELD,
    Effect.DELETE_FIELD,
    Effect.PIN_TARGET,
    Effect.BODY,
    Effect.LOG,
    Effect.METRIC,
    Effect.STATE,
    Effect.READS,
    Effect.EXPERIMENT,
    Effect.TRACK,
    Effect.ASKED,
  ),
  onOriginResponse: legal(
    Effect.SET_FIELD,
    Effect.APPEND_FIELD,
    Effect.DELETE_FIELD,
    Effect.BODY,
    Effect.LOG,
    Effect.METRIC,
    Effect.STATE,
    Effect.CACHE,
    Effect.READS,
    Effect.EXPERIMENT,
    Effect.TRACK,
    Effect.ASKED,
  ),
  onResponse: legal(
    Effect.SET_FIELD,
    Effect.APPEND_FIELD,
    Effect.DELETE_FIELD,
    Effect.STATUS,
    Effect.BODY,
    Effect.HTML,
    Effect.LOG,
    Effect.METRIC,
    Effect.STATE,
    Effect.EXPERIMENT,
    Effect.TRACK,
    Effect.ASKED,
  ),
  onError: legal(Effect.UPSTREAM, Effect.RESPOND, Effect.LOG, Effect.METRIC, Effect.STATE, Effect.EXPERIMENT, Effect.TRACK),
  onComplete: legal(Effect.LOG, Effect.METRIC, Effect.STATE, Effect.EXPERIMENT, Effect.TRACK),
};
/** After DONE only these are taken. */
export const TAIL_LEGAL: LegalEffects = legal(Effect.LOG, Effect.METRIC);

const NAMES = Object.fromEntries(Object.entries(Effect).map(([name, kind]) => [kind, name])) as Readonly<Record<number, string>>;
// RFC 9112 section 3.2.1: origin-form; visible ASCII only, no fragment.
const TARGET = /^\/[\x21\x22\x24-\x7e]*$/;
// The letters of `kernel/reads.ts`.
const ASKED = /^(?:(?:[?mcatqHrOf]|[ho][\x21-\x7e]{1,256}|x[\w.-]{1,64}|[ps][0-9]{1,6})(?:\n(?!$)|$)){0,40}$/;
const VISIBLE = /^[\x21-\x7e]+$/;
const METRIC_NAME = /^[A-Za-z_][A-Za-z0-9_.:-]{0,99}$/;
const DECIMAL = /^-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:e[+-]?[0-9]{1,3})?$/;
/** Of experiments and goals. */
const EXPERIMENT_NAME = /^[\w.-]{1,64}$/;
const BEYOND_LATIN1 = /[^\x00-\xff]/;
const LEVELS: ReadonlySet<string> = new Set(["debug", "info", "warn", "error"]);
const NO_LIST: readonly string[] = [];

export type LogLevel = "debug" | "info" | "warn" | "error";

/** One checked effect; what the members mean goes by `kind` as in `protocol.ts`. */
export interface CheckedEffect {
  readonly kind: number;
  readonly rule: number;
  /** Field name, method, target, upstream, log level, metric name. */
  readonly name: string;
  /** Field value, bytes, log text, metric value, state. */
  readonly value: string;
  readonly status: number;
  /** Field names and values of an answer. */
  readonly fields: readonly string[];
  /** Labels of a metric, as JSON. */
  readonly labels: string;
}

export interface EffectBounds {
  readonly legal: LegalEffects;
  /** Rules that ran, in order. */
  readonly rules: readonly number[];
  readonly crossingBytes: number;
}

export interface CheckedEffects {
  readonly list: readonly CheckedEffect[];
  /** Rules of which an effect was refused, with the reason; none of their changes count. */
  readonly refused: ReadonlyMap<number, GatewayError> | null;
}

const NOTHING: CheckedEffects = { list: [], refused: null };

export function legalIn(phase: Phase, response: ResponseView | null): LegalEffects {
  return response === null && (phase === "onResponse" || phase === "onOriginResponse") ? LEGAL.onComplete : LEGAL[phase];
}

/** Throws `CodecError` when the text is none, or speaks for a rule that did not run: then the sandbox is broken, not the rule. */
export function readEffects(text: string, bounds: EffectBounds): CheckedEffects {
  if (text === "") return NOTHING;
  const reader = new TextReader(text);
  const list: CheckedEffect[] = [];
  let refused: Map<number, GatewayError> | null = null;
  const most = MAX_EFFECTS * bounds.rules.length;
  while (!reader.done) {
    const effect = readEffect(reader);
    if (!bounds.rules.includes(effect.rule)) throw new CodecError(`an effect of rule ${effect.rule}, which did not run`);
    if (list.length >= most) throw new CodecError(`more than ${most} effects`);
    const fault = faultOf(effect, bounds);
    if (fault === "") list.push(effect);
    else if (!refused?.has(effect.rule))
      (refused ??= new Map()).set(effect.rule, new GatewayError("RULE_EFFECT", `${NAMES[effect.kind] ?? effect.kind}: ${fault}`));
  }
  return { list: refused === null ? list : list.filter((effect) => isNote(effect.kind) || !refused.has(effect.rule)), refused };
}

/** Logs and metrics count even when the rule failed. */
export function isNote(kind: number): boolean {
  return kind === Effect.LOG || kind === Effect.METRIC;
}

function readEffect(reader: TextReader): CheckedEffect {
  const kind = reader.num();
  const rule = reader.num();
  switch (kind) {
    case Effect.SET_FIELD:
    case Effect.APPEND_FIELD: {
      const name = fieldName(reader.str());
      return { kind, rule, name, value: reader.str(), status: 0, fields: NO_LIST, labels: "" };
    }
    case Effect.DELETE_FIELD:
      return { kind, rule, name: fieldName(reader.str()), value: "", status: 0, fields: NO_LIST, labels: "" };
    case Effect.METHOD:
    case Effect.TARGET:
    case Effect.UPSTREAM:
    case Effect.PIN_TARGET:
    case Effect.ASKED:
    case Effect.EXPERIMENT:
      return { kind, rule, name: reader.str(), value: "", status: 0, fields: NO_LIST, labels: "" };
    case Effect.STATUS:
      return { kind, rule, name: "", value: "", status: reader.num(), fields: NO_LIST, labels: "" };
    case Effect.BODY:
    case Effect.STATE:
    case Effect.CACHE_KEY:
    case Effect.CACHE:
    case Effect.READS:
    case Effect.PLACE:
    case Effect.HTML:
      return { kind, rule, name: "", value: reader.str(), status: 0, fields: NO_LIST, labels: "" };
    case Effect.LOG:
      return { kind, rule, name: reader.str(), value: reader.str(), status: 0, fields: NO_LIST, labels: "" };
    case Effect.METRIC:
      return { kind, rule, name: reader.str(), value: reader.str(), status: 0, fields: NO_LIST, labels: reader.str() };
    case Effect.TRACK: {
      const name = reader.str();
      return { kind, rule, name, value: reader.str(), status: 0, fields: NO_LIST, labels: "" };
    }
    case Effect.RESPOND:
      return readAnswer(reader, rule);
    default:
      throw new CodecError(`an effect of kind ${kind}`);
  }
}

function readAnswer(reader: TextReader, rule: number): CheckedEffect {
  const status = reader.num();
  const count = reader.num();
  if (count > MAX_EFFECTS) throw new CodecError(`an answer with ${count} fields`);
  const fields: string[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.str().toLowerCase();
    const value = reader.str();
    // The length is known better here than by whoever wrote it; handlers made for other runtimes often write it.
    if (name !== "content-length") fields.push(name, value);
  }
  return { kind: Effect.RESPOND, rule, name: "", value: reader.str(), status, fields, labels: "" };
}

/** Why the effect can't be had, or "". */
function faultOf(effect: CheckedEffect, bounds: EffectBounds): string {
  if ((bounds.legal & (1 << effect.kind)) === 0) return "not allowed in this phase";
  switch (effect.kind) {
    case Effect.SET_FIELD:
    case Effect.APPEND_FIELD:
      return nameFault(effect.name) || valueFault(effect.name, effect.value);
    case Effect.DELETE_FIELD:
      return nameFault(effect.name);
    case Effect.METHOD:
      return isToken(effect.name) && effect.name.length <= 32 && effect.name !== "CONNECT" && effect.name !== "TRACE"
        ? ""
        : `${quoted(effect.name)} is no method that may be sent`;
    case Effect.TARGET:
      if (effect.name.length > MAX_TARGET_UNITS) return `${effect.name.length} characters, at most ${MAX_TARGET_UNITS} are allowed`;
      return TARGET.test(effect.name) ? "" : `${quoted(effect.name)} is no path and query of visible ASCII (RFC 9112 section 3.2.1)`;
    case Effect.UPSTREAM:
      return effect.name.length <= MAX_NAME_UNITS && VISIBLE.test(effect.name) ? "" : `${quoted(effect.name)} is no name of an upstream`;
    case Effect.PIN_TARGET:
      return effect.name === "" || (effect.name.length <= 2048 && VISIBLE.test(effect.name) && /^https?:\/\//.test(effect.name))
        ? ""
        : `${quoted(effect.name)} is no target's URL`;
    case Effect.ASKED:
      return ASKED.test(effect.name) ? "" : `${quoted(effect.name)} is nothing that may be asked`;
    case Effect.EXPERIMENT:
      return EXPERIMENT_NAME.test(effect.name) ? "" : `${quoted(effect.name)} is no experiment`;
    case Effect.TRACK:
      return EXPERIMENT_NAME.test(effect.name) && (effect.value === "" || DECIMAL.test(effect.value))
        ? ""
        : `${quoted(effect.name)} = ${quoted(effect.value)} is no goal`;
    case Effect.STATUS:
      return statusFault(effect.status);
    case Effect.BODY:
      return bytesFault(effect.value);
    case Effect.HTML:
      return effect.value.length > bounds.crossingBytes
        ? `an edit of ${effect.value.length} characters, at most ${bounds.crossingBytes} are allowed`
        : htmlEditFault(effect.value, effect.rule);
    case Effect.CACHE_KEY:
      return readCacheKeyWord(effect.value) === null ? `${quoted(effect.value)} is no cache key` : "";
    case Effect.CACHE:
      return readCacheDecisionWord(effect.value) === null ? `${quoted(effect.value)} is no word to the cache` : "";
    case Effect.RESPOND:
      return statusFault(effect.status) || bytesFault(effect.value) || fieldsFault(effect.fields);
    case Effect.LOG:
      return LEVELS.has(effect.name) && effect.value.length <= MAX_LOG_UNITS
        ? ""
        : `a line of level ${quoted(effect.name)} with ${effect.value.length} characters`;
    case Effect.METRIC:
      return METRIC_NAME.test(effect.name) && DECIMAL.test(effect.value) && effect.labels.length <= MAX_LABELS_UNITS
        ? ""
        : `${quoted(effect.name)} = ${quoted(effect.value)}`;
    default:
      return effect.value.length <= bounds.crossingBytes ? "" : `${effect.value.length} characters of state, at most ${bounds.crossingBytes} are allowed`;
  }
}

/** Names that were found good, in lowercase: rules use the same few again and again. */
const GOOD_NAMES = new Map<string, string>();
const MAX_GOOD_NAMES = 512;
const MAX_GOOD_NAME_UNITS = 64;

function fieldName(written: string): string {
  const good = GOOD_NAMES.get(written);
  if (good !== undefined) return good;
  const name = written.toLowerCase();
  if (GOOD_NAMES.size < MAX_GOOD_NAMES && written.length <= MAX_GOOD_NAME_UNITS && nameFault(name) === "") {
    const kept = owned(name);
    GOOD_NAMES.set(kept, kept);
  }
  return name;
}

function nameFault(name: string): string {
  if (GOOD_NAMES.has(name)) return "";
  if (name.length > MAX_NAME_UNITS || !isToken(name)) return `${quoted(name)} is no header name (RFC 9110 section 5.1)`;
  return RESERVED.has(name) ? `${name} belongs to the gateway` : "";
}

function valueFault(name: string, value: string): string {
  if (value.length > MAX_FIELD_VALUE_UNITS) return `${name} has ${value.length} characters, at most ${MAX_FIELD_VALUE_UNITS} are allowed`;
  if (!isFieldValue(value)) return `the value of ${name} holds characters that no header may hold (RFC 9110 section 5.5)`;
  return value !== "" && (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1)))
    ? `the value of ${name} begins or ends with white space`
    : "";
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

function fieldsFault(fields: readonly string[]): string {
  let units = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const fault = nameFault(fields[i]!) || valueFault(fields[i]!, fields[i + 1]!);
    if (fault !== "") return fault;
    units += fields[i]!.length + fields[i + 1]!.length;
  }
  return units > MAX_FIELD_UNITS ? `${units} characters of headers, at most ${MAX_FIELD_UNITS} are allowed` : "";
}

function statusFault(status: number): string {
  return status >= 200 && status <= 599 ? "" : `status ${status} is not within 200 – 599`;
}

function bytesFault(bytes: string): string {
  if (bytes.length > MAX_BODY_UNITS) return `${bytes.length} bytes, at most ${MAX_BODY_UNITS} are allowed`;
  return BEYOND_LATIN1.test(bytes) ? "the body holds units above 255, which are no bytes" : "";
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
