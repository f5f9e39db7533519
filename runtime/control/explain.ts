/** `POST /v1/explain`: which routes, rules, limits, cache decision and upstream a request would get, and why. Nothing is sent to an origin. */
import { isIP } from "node:net";
import { z } from "zod";
import type { ExplainAsk, Explanation } from "../proxy/explanation.ts";
import { type Endpoint, failure, json } from "./answers.ts";

/** Null: no worker serves. */
export type ExplainSource = (ask: ExplainAsk) => Promise<Explanation> | null;

export interface ExplainRefusal {
  readonly found: string;
  readonly expected: string;
}

const MEMBERS: ReadonlySet<string> = new Set(["url", "method", "headers", "client", "country"]);
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
// RFC 9110 section 5.5, without obs-text.
const VALUE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$|^$/;
const COUNTRY = /^(?:[A-Z]{2})?$/;
const MAX_HEADERS = 100;
const MAX_UNITS = 8_192;
/** What a front keeps to itself, so that no rule ever sees it (RFC 9110 section 7.6.1). */
const OF_THE_WIRE: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const Ask = z.strictObject({
  url: z.string().describe("absolute, with http: or https:"),
  method: z.string().optional(),
  headers: z.array(z.tuple([z.string(), z.string()])).optional(),
  client: z.string().optional().describe("the address that asks"),
  country: z.string().optional().describe("ISO 3166 code, or empty for an unknown one; left out: where the address is"),
});

const Explained = z.looseObject({
  release: z.string(),
  request: z.looseObject({ method: z.string(), scheme: z.enum(["http", "https"]), authority: z.string(), target: z.string(), headers: z.array(z.string()) }),
  matched: z
    .array(z.looseObject({ name: z.string(), order: z.number(), when: z.array(z.unknown()), hooks: z.record(z.string(), z.string()) }))
    .describe("rules, in running order; hooks: phase and file:line:column"),
  unmatched: z.array(z.string()),
  steps: z.array(z.looseObject({ step: z.string() })).describe("in the order of the request's life; what a step tells depends on its kind"),
});

/** Whoever may change what is served: rules run, and what they put into requests is shown. */
export function explainEndpoint(source: ExplainSource): Endpoint {
  return {
    path: "/v1/explain",
    method: "POST",
    role: "activate",
    about: "Which routes, rules, limits, cache decision and upstream a request would get, and why. Nothing is sent to an origin.",
    asks: Ask,
    answers: { 200: Explained },
    refusals: { 503: ["NO_WORKER"] },
    async answer({ body }) {
      const ask = readExplain(body);
      if ("expected" in ask) return failure(400, { code: "BODY_REFUSED", ...ask });
      const explanation = await source(ask);
      return explanation === null ? failure(503, { code: "NO_WORKER", found: "no worker that serves", expected: "at least one" }) : json(200, explanation);
    },
  };
}

export function readExplain(body: unknown): ExplainAsk | ExplainRefusal {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    return { found: "no object", expected: '{ "url": URL }, and perhaps method, headers, client, country' };
  const { url, method = "GET", headers = [], client = "127.0.0.1", country } = body as Readonly<Record<string, unknown>>;
  const stray = Object.keys(body).find((name) => !MEMBERS.has(name));
  if (stray !== undefined) return { found: shown(stray), expected: [...MEMBERS].join(", ") };
  const place = typeof url === "string" && url.length <= MAX_UNITS ? URL.parse(url) : null;
  if (place === null || !/^https?:$/.test(place.protocol)) return { found: `url ${shown(url)}`, expected: "a URL with http:// or https://" };
  if (typeof method !== "string" || !TOKEN.test(method)) return { found: `method ${shown(method)}`, expected: "a method" };
  if (typeof client !== "string" || isIP(client) === 0) return { found: `client ${shown(client)}`, expected: "an IP address" };
  if (country !== undefined && (typeof country !== "string" || !COUNTRY.test(country)))
    return { found: `country ${shown(country)}`, expected: 'a code of two capitals, such as "DE"' };
  const fields = readHeaders(headers);
  if ("expected" in fields) return fields;
  const host = fields.find(([name]) => name === "host")?.[1].toLowerCase();
  return {
    method: method.toUpperCase(),
    scheme: place.protocol === "https:" ? "https" : "http",
    authority: host ?? place.host,
    target: place.pathname + place.search,
    headers: fields.flatMap(([name, value]) => (name === "host" || OF_THE_WIRE.has(name) ? [] : [name, value])),
    client,
    ...(country === undefined ? {} : { country }),
  };
}

function readHeaders(headers: unknown): (readonly [string, string])[] | ExplainRefusal {
  const expected = `headers as [[name, value], …], at most ${MAX_HEADERS}`;
  if (!Array.isArray(headers) || headers.length > MAX_HEADERS) return { found: "something else", expected };
  const read: (readonly [string, string])[] = [];
  for (const pair of headers as unknown[]) {
    const [name, value] = Array.isArray(pair) ? (pair as unknown[]) : [];
    if (typeof name !== "string" || typeof value !== "string" || !TOKEN.test(name) || value.length > MAX_UNITS || !VALUE.test(value.trim()))
      return { found: shown(pair), expected };
    read.push([name.toLowerCase(), value.trim()]);
  }
  return read;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 100);
}
