/** The cache's engine, told of exchanges as the proxy tells it of them, without sockets. */
import { type Cache, type CacheExchange, createCache, PLAIN_SHAPE, routePolicyOf } from "../../runtime/cache/cache.ts";
import { ManualClock } from "../../runtime/clock.ts";
import { GatewayError } from "../../runtime/errors.ts";
import { bodyOf, NO_BODY } from "../../runtime/proxy/exchange.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import type { GatewayResponse } from "../../runtime/proxy/reply.ts";
import { createMemoryStore } from "../../runtime/store/store.ts";
import { ROUTE } from "./gateways.ts";

/** A `GatewayError` that it throws becomes an error page, as in the gateway. */
type Origin = (request: Fields, method: string) => { readonly fields: Fields; readonly body?: string };

/** A cache before an origin that is a function, and how that was asked. */
export class Stage {
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
      this.asked.push(how);
      let said: Fields;
      let body: string;
      try {
        ({ fields: said, body = "" } = this.#origin(request, method));
      } catch (thrown) {
        if (!(thrown instanceof GatewayError)) throw thrown;
        return { status: thrown.status, fields: new Fields(), body: NO_BODY, declaredLength: 0, from: "gateway", error: thrown, tunnel: null };
      }
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
      mayDecide: false,
      lead: async (request) => ({
        response: answer(request, "lead"),
        decision: null,
        reads: [],

        timing: { requestAtMs: this.clock.unixMs(), responseAtMs: this.clock.unixMs() },
      }),
      hold: () => () => undefined,
      pass: async () => answer(fields, "pass"),
    };
    const response = await this.#cache.ask(exchange);
    await new Promise<void>((resolve, reject) => response.body.read({ chunk: () => true, end: () => resolve(), error: reject }));
    return response;
  }
}

const POLICY = routePolicyOf(ROUTE);
