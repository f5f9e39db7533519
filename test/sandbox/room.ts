/** A sandbox with real processes for tests: rules are given as the body of `defineRule`, and everything that the room tells is kept. */
import { EventEmitter, once } from "node:events";
import type { TestContext } from "node:test";
import { Fields } from "../../runtime/proxy/fields.ts";
import type { Phase, Release, RuleManifest } from "../../runtime/compile/release.ts";
import { createSandbox, type CreateSandboxOptions } from "../../runtime/sandbox/client.ts";
import { buildKernel } from "../../runtime/sandbox/kernel/build.ts";
import type { HookOutcome, HookRun, LoadedRelease, Sandbox, SandboxEvents, Service } from "../../runtime/sandbox/sandbox.ts";

export type HookEvent = Parameters<SandboxEvents["hook"]>[0];
export type SandboxEvent = Parameters<SandboxEvents["sandbox"]>[0];
export type LogEvent = Parameters<SandboxEvents["log"]>[0];

export interface RuleText {
  readonly name?: string;
  /** What stands between the braces of `defineRule({ … })`; `respond`, `redirect` are in scope. */
  readonly body: string;
  /** Before `defineRule`. */
  readonly top?: string;
  readonly phases?: readonly Phase[];
  readonly secrets?: readonly string[];
  readonly onFailure?: "closed" | "open";
  readonly services?: readonly string[];
  readonly stateless?: boolean;
}

let releases = 0;

export function releaseOf(...rules: readonly RuleText[]): Release {
  return {
    id: (++releases).toString(16).padStart(12, "0"),
    format: 1,
    rules: rules.map((rule, index) => {
      const manifest: RuleManifest = {
        name: rule.name ?? `rule-${index}.ts`,
        order: index,
        when: [],
        phases: rule.phases ?? ["onRequest"],
        secrets: rule.secrets ?? [],
        onFailure: rule.onFailure ?? "closed",
        services: rule.services ?? ["fetch", "auth"],
        hosts: [],
        readsBody: false,
        ...(rule.stateless === true ? { stateless: true } : {}),
      };
      return {
        manifest,
        code: `(sluice) => { const { defineRule, respond, redirect } = sluice; ${rule.top ?? ""}; return { default: defineRule({ secrets: ${JSON.stringify(rule.secrets ?? [])}, ${rule.body} }) } }`,
      };
    }),
  };
}

export class Room {
  readonly sandbox: Sandbox;
  readonly hooks: HookEvent[] = [];
  readonly logs: LogEvent[] = [];
  readonly told: SandboxEvent[] = [];
  readonly emitter = new EventEmitter();

  private constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
  }

  static async open(
    t: TestContext,
    options: Partial<Omit<CreateSandboxOptions, "limits">> & { limits?: Partial<CreateSandboxOptions["limits"]> } = {},
  ): Promise<Room> {
    let room: Room | null = null;
    const early: SandboxEvent[] = [];
    const sandbox = await createSandbox({
      kernel: await buildKernel(),
      vars: {},
      secrets: {},
      services: {},
      quarantine: true,
      now: () => Date.UTC(2026, 0, 1),
      ...options,
      limits: { ruleCpuMs: 50, ruleWallMs: 5000, ruleMemoryBytes: 64 * 1024 * 1024, ruleFetches: 16, crossingBytes: 1024 * 1024, ...options.limits },
      events: {
        log: (entry) => {
          room?.logs.push(entry);
          room?.emitter.emit("log", entry);
        },
        metric: () => undefined,
        hook: (entry) => void room?.hooks.push(entry),
        sandbox: (entry) => {
          if (room === null) early.push(entry);
          else room.tell(entry);
        },
      },
    });
    t.after(() => sandbox.close());
    room = new Room(sandbox);
    room.told.push(...early);
    return room;
  }

  tell(entry: SandboxEvent): void {
    this.told.push(entry);
    this.emitter.emit(entry.event, entry);
  }

  load(...rules: readonly RuleText[]): Promise<LoadedRelease> {
    return this.sandbox.load(releaseOf(...rules), {});
  }

  async emitterOnce(event: SandboxEvent["event"]): Promise<SandboxEvent> {
    const [entry] = (await once(this.emitter, event)) as [SandboxEvent];
    return entry;
  }
  async logged(text: string): Promise<void> {
    while (!this.logs.some((line) => line.text === text)) await once(this.emitter, "log");
  }

  /** Resolves when two sandboxes are up. */
  async warm(): Promise<void> {
    while (this.sandbox.status().sparePid === 0 || this.sandbox.status().activePid === 0) await once(this.emitter, "started");
  }

  run(release: LoadedRelease, given: Partial<HookRun> & { target?: string } = {}): Promise<HookOutcome> & { readonly view: HookRun } {
    const view = runOf(release, given);
    return Object.assign(this.sandbox.run(view), { view });
  }
}

export function runOf(release: LoadedRelease, { target = "/", ...given }: Partial<HookRun> & { target?: string } = {}): HookRun {
  const rules = given.rules ?? release.release.rules.map((_, index) => index);
  return {
    release,
    phase: "onRequest",
    rules,
    params: rules.map(() => null),
    request: { method: "GET", scheme: "http", authority: "shop.example.com", target, fields: Fields.of(["user-agent", "test"]) },
    response: null,
    extra: "{}",
    exchange: exchangeOf(target),
    ...given,
  };
}

export function exchangeOf(target = "/"): HookRun["exchange"] {
  return {
    id: `exchange ${target}`,
    received: { method: "GET", target, authority: "shop.example.com" },
    state: new Map(),
    ruleWallMs: 0,
    fetches: 0,
    signal: new AbortController().signal,
    readRequestBody: async () => Buffer.from("request"),
    readResponseBody: async () => Buffer.from("response"),
    whenOver: () => undefined,
  };
}

/** A service that answers when the test says so. */
export class Gate {
  readonly calls: { readonly args: unknown; readonly idempotencyId: string; readonly signal: AbortSignal }[] = [];
  readonly #arrivals = new EventEmitter();
  readonly #open: ((value: unknown) => void)[] = [];

  readonly service: Service = ({ args, idempotencyId, signal }) => {
    this.calls.push({ args, idempotencyId, signal });
    return new Promise((resolve) => {
      this.#open.push(resolve);
      this.#arrivals.emit("call");
    });
  };

  async arrived(count: number): Promise<void> {
    while (this.calls.length < count) await once(this.#arrivals, "call");
  }
  /** Answers the oldest open call. */
  answer(value: unknown): void {
    this.#open.shift()!(value);
  }
}

export const fetchAnswer = (body: string): object => ({ status: 200, url: "http://auth.example.com/", headers: [], body, redirected: false });
