/** `ctx.auth.forward`: asks an auth service about the request, as nginx's `auth_request` and Traefik's ForwardAuth do. 2xx means yes. */
import { z } from "zod";
import { GatewayError } from "../../errors.ts";
import type { Fields } from "../../proxy/fields.ts";
import type { EgressResponse, Outgoing } from "../egress.ts";

const headerNames = z.array(z.string().max(128)).max(64);
export const ForwardCall = z.strictObject({
  url: z.string().max(2048),
  copyRequestHeaders: headerNames.default(["authorization", "cookie"]),
  copyResponseHeaders: headerNames.default([]),
});
export type ForwardCall = z.infer<typeof ForwardCall>;

export interface ForwardAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly setCookies: readonly string[];
  readonly body: string;
}
/** `setHeaders`: of the service's yes, those that the rule asked to have on the request. */
export type ForwardResult =
  | { readonly answer: ForwardAnswer; readonly setHeaders: readonly (readonly [string, string])[] }
  | { readonly reason: "denied" | "unavailable"; readonly refusal: ForwardAnswer | null };

export async function forwardAuth(
  call: ForwardCall,
  request: {
    readonly method: string;
    readonly scheme: string;
    readonly authority: string;
    readonly target: string;
    readonly fields: Fields;
    readonly clientAddress: string;
  },
  egress: Outgoing,
  signal: AbortSignal,
): Promise<ForwardResult> {
  const headers: [string, string][] = [
    ["x-forwarded-method", request.method],
    ["x-forwarded-proto", request.scheme],
    ["x-forwarded-host", request.authority],
    ["x-forwarded-uri", request.target],
  ];
  if (request.clientAddress !== "") headers.push(["x-forwarded-for", request.clientAddress]);
  for (const name of call.copyRequestHeaders) for (const value of request.fields.getAll(name.toLowerCase())) headers.push([name.toLowerCase(), value]);
  let response;
  try {
    response = await egress.fetch({ url: call.url, method: "GET", headers, body: null, redirect: "manual", idempotencyId: "" }, signal);
  } catch (thrown) {
    // A refused URL is the rule's mistake; a service that is away is not, and means no.
    if (thrown instanceof GatewayError && thrown.cause !== undefined) return { reason: "unavailable", refusal: null };
    throw thrown;
  }
  const answer = answerOf(response);
  if (answer.status < 200 || answer.status > 299) return { reason: answer.status >= 500 ? "unavailable" : "denied", refusal: answer };
  const wanted = new Set(call.copyResponseHeaders.map((name) => name.toLowerCase()));
  return { answer, setHeaders: Object.entries(answer.headers).filter(([name]) => wanted.has(name)) };
}

/** Fields of one name joined, Set-Cookie apart (RFC 9110 section 5.3): a login's redirect sets several. */
function answerOf(response: EgressResponse): ForwardAnswer {
  const headers = new Map<string, string>();
  const setCookies: string[] = [];
  for (const [name, value] of response.headers) {
    const before = headers.get(name);
    if (name === "set-cookie") setCookies.push(value);
    else headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { status: response.status, headers: Object.fromEntries(headers), setCookies, body: response.body.toString("utf8") };
}
