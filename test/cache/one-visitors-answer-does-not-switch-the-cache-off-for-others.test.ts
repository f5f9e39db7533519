import assert from "node:assert/strict";
import { test } from "node:test";
import { type Cache, type CacheExchange, createCache, PLAIN_SHAPE, routePolicyOf } from "../../runtime/cache/cache.ts";
import { ManualClock } from "../../runtime/clock.ts";
import { bodyOf, NO_BODY } from "../../runtime/proxy/exchange.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import type { GatewayResponse } from "../../runtime/proxy/reply.ts";
import { createMemoryStore } from "../../runtime/store/store.ts";

type Origin = (request: Fields, method: string) => { readonly fields: Fields; readonly body?: string };

/** A cache before an origin that is a function, and what was asked of that. */
class Stage {
  readonly clock = new ManualClock();
  readonly asked: string[] = [];
  readonly #cache: Cache;
  readonly #origin: Origin;

  constructor(origin: Origin) {
    this.#origin = origin;
    this.#cache = createCache({
      config: { memoryBytes: 1e6, maxObjectBytes: 1e5, lockTimeoutMs: 1000, shared: null, secret: "" },
      store: createMemoryStore({ clock: this.clock }),
      clock: this.clock,
      shares: false,
      random: () => 0,
      warn: () => undefined,
    });
  }

  /** What the client gets. */
  async get(fields: Fields, method = "GET"): Promise<GatewayResponse> {
    const answer = (request: Fields, how: string): GatewayResponse => {
      const { fields: said, body = "" } = this.#origin(request, method);
      this.asked.push(how);
      const bytes = Buffer.from(body);
      const whole = method === "HEAD" ? NO_BODY : bodyOf(bytes);
      return { status: 200, fields: said.clone(), body: whole, declaredLength: bytes.length, from: "upstream", error: null, tunnel: null };
    };
    const exchange: CacheExchange = {
      method,
      scheme: "http",
      authority: "shop.example",
      target: "/",
      fields,
      upstream: "shop",
      policy: POLICY,
      shape: PLAIN_SHAPE,
      partition: "",
      publicAuthority: "shop.example",
      publicTarget: "/",
      reads: [],
      lead: async (request) => ({
        response: answer(request, "lead"),
        decision: null,
        reads: [],
        rules: "",
        timing: { requestAtMs: this.clock.unixMs(), responseAtMs: this.clock.unixMs() },
      }),
      pass: async () => answer(fields, "pass"),
    };
    const response = await this.#cache.ask(exchange);
    await new Promise<void>((resolve, reject) => response.body.read({ chunk: () => true, end: () => resolve(), error: reject }));
    return response;
  }
}

const POLICY = routePolicyOf({
  defaultMs: 0,
  heuristicLimitMs: 0,
  statusMs: [],
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  maxMs: 1e9,
  hitForMissMs: 60_000,
  setCookie: "explicit",
  honourClient: true,
  key: { query: null, headers: [], cookies: [] },
});

const FRESH = ["cache-control", "max-age=60"] as const;

test("a new visitor's Set-Cookie is not stored, and the next visitor's answer is", async () => {
  const stage = new Stage((request) => ({ fields: request.has("cookie") ? Fields.of(FRESH) : Fields.of(FRESH, ["set-cookie", "sid=1"]) }));
  const first = await stage.get(new Fields());
  assert.equal(first.fields.get("set-cookie"), "sid=1");
  const second = await stage.get(Fields.of(["cookie", "sid=1"]));
  assert.equal(second.fields.has("set-cookie"), false);
  const third = await stage.get(new Fields());
  assert.equal(third.from, "cache");
  assert.equal(stage.asked.length, 2);
});

test("a client that sends Authorization can't keep others from the cache", async () => {
  const stage = new Stage(() => ({ fields: Fields.of(FRESH) }));
  const token = Fields.of(["authorization", "Bearer x"]);
  await stage.get(token);
  // The second one asks for itself at once: nobody with a token waits for anybody.
  await stage.get(token);
  assert.deepEqual(stage.asked, ["lead", "pass"]);
  await stage.get(new Fields());
  assert.equal((await stage.get(new Fields())).from, "cache");
  assert.deepEqual(stage.asked, ["lead", "pass", "lead"]);
});

test("the client whose request fills the cache gets the fields that are not stored; the others don't", async () => {
  const stage = new Stage(() => ({ fields: Fields.of(["cache-control", 'max-age=60, private="x-user"'], ["x-user", "ann"]) }));
  assert.equal((await stage.get(new Fields())).fields.get("x-user"), "ann");
  const next = await stage.get(new Fields());
  assert.equal(next.from, "cache");
  assert.equal(next.fields.has("x-user"), false);
});

test("a HEAD after expiry renews what it agrees with, and drops what it doesn't (RFC 9111 section 4.3.5)", async () => {
  let etag = '"1"';
  const stage = new Stage(() => ({ fields: Fields.of(FRESH, ["etag", etag]), body: "page" }));
  await stage.get(new Fields());
  stage.clock.advance(61_000);
  await stage.get(new Fields(), "HEAD");
  assert.equal((await stage.get(new Fields())).from, "cache");
  assert.deepEqual(stage.asked, ["lead", "lead"]);

  stage.clock.advance(61_000);
  etag = '"2"';
  await stage.get(new Fields(), "HEAD");
  assert.equal((await stage.get(new Fields())).fields.get("etag"), '"2"');
  assert.deepEqual(stage.asked, ["lead", "lead", "lead", "lead"]);
});
