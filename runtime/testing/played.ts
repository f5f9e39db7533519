/** Upstreams and fetched origins that a test plays: real HTTP servers on loopback for the first, an egress without a network for the second. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import type { PlayedUpstream, TestHeaders, UpstreamAnswer, UpstreamRequest } from "../../sdk/testing.ts";
import { GatewayError } from "../errors.ts";
import type { EgressRequest, EgressResponse, Outgoing } from "../security/egress.ts";

export function headersOf(pairs: readonly (readonly [name: string, value: string])[]): TestHeaders {
  const list = pairs.map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  const all = (name: string): string[] => list.filter(([other]) => other === name.toLowerCase()).map(([, value]) => value);
  return {
    get: (name) => (all(name).length === 0 ? null : all(name).join(", ")),
    has: (name) => all(name).length > 0,
    getSetCookie: () => all("set-cookie"),
    entries: () => list.map(([name, value]) => [name, value]),
  };
}

export function rawPairs(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) pairs.push([raw[i]!, raw[i + 1]!]);
  return pairs;
}

interface PlainAnswer {
  readonly status: number;
  readonly headers: [string, string][];
  readonly body: Buffer;
}

export type Play = PlayedUpstream | UpstreamAnswer;

function playerOf(play: Play): PlayedUpstream {
  return typeof play === "function" ? play : () => play;
}

function failureOf(answer: UpstreamAnswer): "refused" | "reset" | "silence" | null {
  return typeof answer === "object" && "fails" in answer ? answer.fails : null;
}

function plain(answer: Exclude<UpstreamAnswer, { readonly fails: string }>): PlainAnswer {
  if (typeof answer === "string") return { status: 200, headers: [["content-type", "text/plain;charset=UTF-8"]], body: Buffer.from(answer) };
  const headers = Object.entries(answer.headers ?? {}).flatMap(([name, value]) => [value ?? []].flat().map((one): [string, string] => [name, one]));
  const { bytes, type } = bytesOf(answer.body);
  if (type !== "" && !headers.some(([name]) => name.toLowerCase() === "content-type")) headers.push(["content-type", type]);
  return { status: answer.status ?? 200, headers, body: bytes };
}

/** A body as tests write it; an object goes as JSON. */
export function bytesOf(body: string | Uint8Array | object | undefined): { bytes: Buffer; type: string } {
  if (body === undefined) return { bytes: Buffer.alloc(0), type: "" };
  if (typeof body === "string") return { bytes: Buffer.from(body), type: "text/plain;charset=UTF-8" };
  if (body instanceof Uint8Array) return { bytes: Buffer.from(body), type: "application/octet-stream" };
  return { bytes: Buffer.from(JSON.stringify(body)), type: "application/json" };
}

/** A server for one played upstream. `seen` gets each request before it is answered. */
export async function playUpstream(name: string, play: Play, seen: (request: UpstreamRequest) => void): Promise<{ url: string; close: () => void }> {
  const player = playerOf(play);
  const server = http.createServer((incoming, outgoing) => {
    const pieces: Buffer[] = [];
    incoming.on("data", (piece: Buffer) => pieces.push(piece));
    incoming.on("end", () => {
      const request: UpstreamRequest = {
        method: incoming.method!,
        target: incoming.url!,
        headers: headersOf(rawPairs(incoming.rawHeaders)),
        body: Buffer.concat(pieces).toString("utf8"),
        upstream: name,
      };
      seen(request);
      Promise.resolve(request)
        .then(player)
        .then((answer) => reply(outgoing, answer))
        // The test's own function failed: the gateway sees an upstream that breaks off, the test sees why.
        .catch((error: unknown) => {
          tellWhy(name, error);
          outgoing.destroy();
        });
    });
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  // Its port was free a moment ago, and nobody else asks for it.
  if (typeof play !== "function" && failureOf(play) === "refused") close();
  return { url, close };
}

function reply(outgoing: http.ServerResponse, answer: UpstreamAnswer): void {
  if (typeof answer === "object" && "fails" in answer) {
    if (answer.fails !== "silence") outgoing.destroy();
    return;
  }
  const { status, headers, body } = plain(answer);
  outgoing.sendDate = false;
  if (!headers.some(([header]) => header.toLowerCase() === "content-length") && status !== 204 && status !== 304)
    headers.push(["content-length", String(body.length)]);
  outgoing.writeHead(status, headers.flat());
  outgoing.end(body);
}

function tellWhy(name: string, error: unknown): void {
  process.stderr.write(`the played upstream "${name}" threw: ${error instanceof Error ? error.stack : String(error)}\n`);
}

/** What a test throws here is a service that is away: as the real egress says it, with a cause. */
async function answerOf(play: Play, asked: UpstreamRequest, signal: AbortSignal): Promise<PlainAnswer> {
  try {
    const answer = await playerOf(play)(asked);
    if (typeof answer === "string" || !("fails" in answer)) return plain(answer);
    if (answer.fails === "silence") await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    throw new GatewayError("SERVICE_REFUSED", `fetch: ${asked.upstream} ${answer.fails === "silence" ? "said nothing" : "closed the connection"}`);
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    tellWhy(asked.upstream, cause);
    throw new GatewayError("SERVICE_REFUSED", `fetch: ${asked.upstream} gave no answer`, { cause });
  }
}

/** `ctx.fetch` and whatever else goes out, answered by the test. */
export function playEgress(origins: Readonly<Record<string, Play>>, seen: (request: UpstreamRequest) => void): Outgoing {
  return {
    async fetch(request: EgressRequest, signal: AbortSignal): Promise<EgressResponse> {
      const url = new URL(request.url);
      const play = origins[url.origin];
      if (play === undefined)
        throw new GatewayError(
          "SERVICE_REFUSED",
          `fetch: the test plays no ${url.origin}; it plays ${Object.keys(origins).join(", ") || "nothing"}. Add it to gateway({ fetch: { … } })`,
        );
      const asked: UpstreamRequest = {
        method: request.method,
        target: url.pathname + url.search,
        headers: headersOf(request.headers),
        body: request.body?.toString("utf8") ?? "",
        upstream: url.origin,
      };
      seen(asked);
      const { status, headers, body } = await answerOf(play, asked, signal);
      return { status, url: url.href, redirected: false, headers: headers.map(([name, value]) => [name.toLowerCase(), value]), body };
    },
    close: () => undefined,
  };
}
