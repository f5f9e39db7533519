/** What is sent to a sandbox process: LOAD and HOOK records, HEAD and RESPONSE texts (`protocol.ts`). One string each, built by plain concatenation. */
import { PHASES, type Phase } from "../compile/release.ts";
import type { Fields } from "../proxy/fields.ts";
import { ToSandbox } from "./protocol.ts";
import type { RequestView, ResponseView } from "./sandbox.ts";

export function str(text: string): string {
  return `${text.length}:${text}`;
}

export function headText(request: RequestView): string {
  return `${request.method} ${request.scheme} ${request.authority} ${request.target}\n${fieldLines(request.fields)}`;
}

export function responseText(response: ResponseView): string {
  return `${response.status}\n${fieldLines(response.fields)}`;
}

function fieldLines(fields: Fields): string {
  const list = fields.list;
  let text = "";
  for (let i = 0; i < list.length; i += 2) text += `${list[i]}:${list[i + 1]}\n`;
  return text;
}

const PHASE_NUMBERS = Object.fromEntries(PHASES.map((phase, index) => [phase, index])) as Readonly<Record<Phase, number>>;

export interface HookWords {
  readonly call: number;
  readonly release: number;
  readonly context: number;
  readonly phase: Phase;
  readonly clockMs: number;
  readonly seed: string;
  readonly cpuMs: number;
  readonly request: RequestView;
  readonly response: ResponseView | null;
  readonly extra: string;
}

/** A HOOK record. `rules`: how many there are, and each with its params and state. */
export function hookRecord(words: HookWords, rules: string): string {
  const { response } = words;
  const rest =
    `${PHASE_NUMBERS[words.phase]};${words.clockMs};${str(words.seed)}` +
    `${str(headText(words.request))}${response === null ? "0:" : str(responseText(response))}${str(words.extra)}${rules}`;
  return `${ToSandbox.HOOK};${words.call};${words.release};${words.context};${words.cpuMs};${str(rest)}`;
}

export const replyRecord = (call: number, callNo: number, ok: boolean, json: string): string =>
  `${ToSandbox.REPLY};${call};${callNo};${ok ? 1 : 0};${str(json)}`;
export const cancelRecord = (call: number): string => `${ToSandbox.CANCEL};${call};`;
export const pingRecord = (sequence: number): string => `${ToSandbox.PING};${sequence};`;
export const loadRecord = (release: number, json: string): string => `${ToSandbox.LOAD};${release};${str(json)}`;
export const unloadRecord = (release: number): string => `${ToSandbox.UNLOAD};${release};`;
