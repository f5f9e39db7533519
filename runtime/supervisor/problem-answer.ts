/** In `sluice dev`, while a save is broken: what the worker answers to page loads instead of serving them. */
import { bodyOf, type Exchange } from "../proxy/exchange.ts";
import { Fields } from "../proxy/fields.ts";
import type { GatewayInputs } from "../proxy/gateway-inputs.ts";
import type { GatewayResponse } from "../proxy/reply.ts";

export interface ShownProblem {
  readonly html: string;
  /** In the header `Sluice-Problem`, by which the page sees that the problem has changed, and in the cookie of a developer who wants to see the site nevertheless. */
  readonly id: string;
  /** True while there is no release to fall back on: then everything is answered with the problem. */
  readonly everyRequest: boolean;
}

const PROBLEM_STATUS = 503;
const PROBLEM_COOKIE = "sluice-dev";

export function problemAnswer({ html, id, everyRequest }: ShownProblem): (exchange: Exchange, inputs: GatewayInputs) => GatewayResponse | null {
  const page = Buffer.from(html);
  const line = Buffer.from("The rules do not compile; the terminal of `sluice dev` shows where.\n");
  return ({ method, fields }, inputs) => {
    const isPage = (method === "GET" || method === "HEAD") && (fields.joined("accept") ?? "").includes("text/html");
    const waved = inputs.cookie(PROBLEM_COOKIE) === id;
    if (!everyRequest && (!isPage || waved)) return null;
    const body = isPage ? page : line;
    const type = isPage ? "text/html; charset=utf-8" : "text/plain; charset=utf-8";
    return {
      status: PROBLEM_STATUS,
      fields: new Fields(["content-type", type, "cache-control", "no-store", "sluice-problem", id]),
      body: bodyOf(body),
      declaredLength: body.length,
      from: "gateway",
      error: null,
      tunnel: null,
    };
  };
}
