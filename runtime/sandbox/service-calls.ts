/** Service calls of rules: who may call what, how often, and each at most once, however many sandboxes the hook runs in. */
import type { Clock } from "../clock.ts";
import { GatewayError } from "../errors.ts";
import { CodecError } from "./codec.ts";
import { type ElementHost, SegmentElements } from "./element-port.ts";
import { rejection } from "./failures.ts";
import { replyRecord } from "./hook-text.ts";
import { Journal, type JournalEntry } from "./journal.ts";
import type { SandboxProcess } from "./sandbox-process.ts";
import type { SandboxOptions } from "./sandbox.ts";
import type { Segment } from "./segment.ts";

/** Calls of every kind in one hook call; above it the hook ends with RULE_CALLS. A rule that needs more is a loop. */
const MAX_CALLS = 1000;
/** A reply that carries a body. Its service has a bound of its own below this. */
const MAX_BODY_REPLY_UNITS = 32 * 1024 * 1024;
/** "Bodies apart": these carry one. */
const CARRIES_BODY: ReadonlySet<string> = new Set(["requestBody", "responseBody", "fetch"]);
/** Part of the sandbox's own world; a manifest does not name them. */
const UNDECLARED: ReadonlySet<string> = new Set(["requestBody", "responseBody", "timer"]);
/** Asks for elements of the page: no service of the gateway's, but a conversation of its own, with bounds of its own. */
const ELEMENTS = "elements";
/** `ctx.auth` is one service to a rule's author. */
const GROUPS: Readonly<Record<string, string>> = { jwt: "auth", hmac: "auth", forward: "auth" };

export class ServiceCalls {
  readonly #options: SandboxOptions;
  /** Ends the hook call with RULE_CALLS. */
  readonly #tooMany: (segment: Segment, rule: number) => void;
  readonly #idStem: string;
  readonly #elementHost: ElementHost;
  #journals = 0;

  constructor(options: SandboxOptions, idStem: string, tooMany: (segment: Segment, rule: number) => void, clock: Clock) {
    this.#options = options;
    this.#elementHost = { options, clock, reply: (segment, entry, json) => this.#reply(segment, entry, true, json) };
    this.#idStem = idStem;
    this.#tooMany = tooMany;
  }

  /** CALL. */
  take(process: SandboxProcess, segment: Segment, callNo: number, rule: number, service: string, args: string): void {
    if (callNo !== segment.lastCallNo + 1) throw new CodecError(`call ${callNo} after call ${segment.lastCallNo}`);
    if (!segment.rules.includes(rule)) throw new CodecError(`a call of rule ${rule}, which does not run`);
    segment.lastCallNo = callNo;
    segment.lastCaller = rule;
    const journal = (segment.journal ??= new Journal(`${this.#idStem}${(++this.#journals).toString(36)}`));
    const earlier = journal.claim(callNo, rule, service, args);
    if (earlier === undefined && service === ELEMENTS) {
      this.#elementsAsked(segment, args, () => journal.add(callNo, rule, service, args));
      return;
    }
    segment.sentAs = 0;
    if (earlier !== undefined) {
      if (earlier.reply !== null) process.send(segment, replyRecord(segment.number, callNo, earlier.reply.ok, earlier.reply.json));
      else if (service === ELEMENTS) segment.elements?.rests();
      return;
    }
    if (callNo > MAX_CALLS || journal.size >= MAX_CALLS) {
      this.#tooMany(segment, rule);
      return;
    }
    const refusal = this.#refusal(segment, rule, service, args);
    if (refusal !== null) {
      (segment.refusals ??= []).push(refusal);
      process.send(segment, replyRecord(segment.number, callNo, false, rejection(refusal)));
      return;
    }
    this.#start(segment, journal.add(callNo, rule, service, args));
  }

  /** What breaks the protocol is never written down: it would be believed in the next sandbox. */
  #elementsAsked(segment: Segment, args: string, write: () => JournalEntry): void {
    const { run } = segment.pending;
    if (run.phase !== "onResponse") throw new CodecError(`elements are asked for in ${run.phase}`);
    const first = segment.elements === null;
    const elements = (segment.elements ??= new SegmentElements(segment, this.#elementHost));
    elements.asked(args, write);
    if (!first) return;
    if (run.exchange.elementsWanted === undefined) elements.end();
    else run.exchange.elementsWanted(elements);
  }

  #refusal(segment: Segment, rule: number, service: string, args: string): GatewayError | null {
    const { limits, services } = this.#options;
    const { held, run } = segment.pending;
    const allowed = held.release.rules[rule]!.manifest.services;
    const declared = UNDECLARED.has(service) || allowed.includes(service) || allowed.includes(GROUPS[service] ?? service);
    if (!Object.hasOwn(services, service) || !declared) {
      return new GatewayError(
        "SERVICE_REFUSED",
        `${held.nameOf(rule)} called ${JSON.stringify(service.slice(0, 40))}, which it does not name in its code or this gateway does not have`,
      );
    }
    if (args.length > limits.crossingBytes)
      return new GatewayError("SERVICE_REFUSED", `${service}: arguments of ${args.length} characters, at most ${limits.crossingBytes} are allowed`);
    if (service !== "fetch") return null;
    if (run.exchange.fetches >= limits.ruleFetches) return new GatewayError("RULE_CALLS", `more than ${limits.ruleFetches} fetch calls in one exchange`);
    run.exchange.fetches++;
    return null;
  }

  #start(segment: Segment, entry: JournalEntry): void {
    const { run, held } = segment.pending;
    const rule = held.nameOf(entry.rule);
    const signal = this.#signal(segment);
    const call = { args: argumentsOf(entry.args), rule, exchange: run.exchange, request: run.request, idempotencyId: entry.idempotencyId, signal };
    const service = this.#options.services[entry.service]!;
    // `async`: a service that throws at once is one that rejects.
    (async () => service(call))().then(
      (value) => this.#replied(segment, entry, value),
      (thrown: unknown) => this.#rejected(segment, entry, thrown),
    );
  }

  /** Ends with the hook call, and with the client, unless the hook runs when the client need not be there. */
  #signal(segment: Segment): AbortSignal {
    if (segment.controller === null) {
      const controller = (segment.controller = new AbortController());
      const { run } = segment.pending;
      if (run.phase !== "onComplete") {
        const gone = run.exchange.signal;
        const leave = (): void => {
          if (!segment.tail) controller.abort(gone.reason);
        };
        if (gone.aborted) leave();
        else gone.addEventListener("abort", leave, { once: true, signal: controller.signal });
      }
    }
    return segment.controller.signal;
  }

  #replied(segment: Segment, entry: JournalEntry, value: unknown): void {
    const json = JSON.stringify(value) ?? "null";
    const limit = CARRIES_BODY.has(entry.service) ? MAX_BODY_REPLY_UNITS : this.#options.limits.crossingBytes;
    if (json.length <= limit) this.#reply(segment, entry, true, json);
    else
      this.#reply(
        segment,
        entry,
        false,
        rejection(new GatewayError("SERVICE_REFUSED", `${entry.service}: a reply of ${json.length} characters, at most ${limit} are allowed`)),
      );
  }

  #rejected(segment: Segment, entry: JournalEntry, thrown: unknown): void {
    let error: GatewayError;
    if (thrown instanceof GatewayError) error = thrown;
    else {
      // What a stranger's error says may name paths and addresses: the operator reads it, the rule does not.
      error = new GatewayError("INTERNAL", `${entry.service} failed`, { cause: thrown });
      const { run, held } = segment.pending;
      if (!segment.over)
        this.#options.events.log({
          rule: held.nameOf(entry.rule),
          release: held.release.id,
          level: "error",
          text: `${entry.service} failed: ${String(thrown)}`,
          exchange: run.exchange.id,
        });
    }
    this.#reply(segment, entry, false, rejection(error));
  }

  #reply(segment: Segment, entry: JournalEntry, ok: boolean, json: string): void {
    entry.reply = { ok, json };
    // Without a sandbox just now: the re-run asks again and finds it.
    if (!segment.over && segment.process !== null && entry.callNo > 0) segment.process.send(segment, replyRecord(segment.number, entry.callNo, ok, json));
  }
}

function argumentsOf(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch (thrown) {
    throw new CodecError("arguments that are no JSON", { cause: thrown });
  }
}
