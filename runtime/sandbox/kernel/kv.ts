/** `ctx.kv`: values become JSON text here and values again; what a key, a lifetime or a size may be, the worker says. */
import type { Kv, KvDeleteOptions, KvEntry, KvIncrementOptions, KvSetOptions, KvStored } from "../../../sdk/index.ts";
import { describe } from "./failure.ts";
import type { RuleRun } from "./rule-run.ts";

export class RuleKv implements Kv {
  readonly #run: RuleRun;

  constructor(run: RuleRun) {
    this.#run = run;
  }

  async get<Value>(key: string): Promise<Value | null> {
    return (await this.getWithVersion<Value>(key))?.value ?? null;
  }

  async getWithVersion<Value>(key: string): Promise<KvEntry<Value> | null> {
    const { json, version } = (await this.#ask({ op: "get", key })) as { json: string; version: string };
    return json === "" ? null : Object.freeze({ value: JSON.parse(json) as Value, version });
  }

  async set(key: string, value: unknown, options?: KvSetOptions): Promise<KvStored> {
    const json = JSON.stringify(value) as string | undefined;
    if (json === undefined) throw new TypeError(`ctx.kv.set: a value that JSON can carry is expected, found ${describe(value)}`);
    const { ttl = null, ifVersion = null } = optionsOf(options, "set");
    return Object.freeze(await this.#ask({ op: "set", key, json, ttl, ifVersion })) as KvStored;
  }

  async delete(key: string, options?: KvDeleteOptions): Promise<boolean> {
    const { ifVersion = null } = optionsOf(options, "delete");
    return ((await this.#ask({ op: "delete", key, ifVersion })) as { deleted: boolean }).deleted;
  }

  async increment(key: string, options?: KvIncrementOptions): Promise<number> {
    const { by = 1, ttl = null } = optionsOf(options, "increment");
    return ((await this.#ask({ op: "increment", key, by, ttl })) as { sum: number }).sum;
  }

  #ask(call: { readonly op: string; readonly key: unknown; readonly [name: string]: unknown }): Promise<unknown> {
    if (typeof call.key !== "string") throw new TypeError(`ctx.kv.${call.op}: a key is expected, found ${describe(call.key)}`);
    return this.#run.service("kv", call);
  }
}

function optionsOf<Options extends object>(options: Options | undefined, method: string): Options | Record<string, never> {
  if (options === undefined) return {};
  // Rules in plain JavaScript give anything.
  if (typeof options !== "object" || (options as unknown) === null) throw new TypeError(`ctx.kv.${method}: options are expected, found ${describe(options)}`);
  return options;
}
