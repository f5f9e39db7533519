/** The test's client: one request over a real socket. */
import http from "node:http";
import type { RequestOptions, Result } from "../../sdk/testing.ts";
import { GatewayError } from "../errors.ts";
import { bytesOf, headersOf, rawPairs } from "./played.ts";

const REQUEST_TIMEOUT_MS = 30_000;

export type Answered = Pick<Result, "status" | "headers" | "bytes" | "text" | "json">;

/** What goes on the wire, and under which request id. */
export interface Outgoing {
  readonly method: string;
  /** As the test wrote it, not as URL would spell it. */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  readonly id: string;
}

export function outgoingOf(target: string, init: RequestOptions, newId: () => string): Outgoing {
  const url = new URL(target, "http://localhost");
  const { bytes, type } = bytesOf(init.body);
  const headers: [string, string][] = Object.entries(init.headers ?? {}).flatMap(([name, value]) => [value].flat().map((one): [string, string] => [name, one]));
  const given = (name: string): string | undefined => headers.find(([other]) => other.toLowerCase() === name)?.[1];
  const id = given("x-request-id") ?? newId();
  if (given("host") === undefined) headers.push(["host", url.host]);
  if (type !== "" && given("content-type") === undefined) headers.push(["content-type", type]);
  if (given("x-request-id") === undefined) headers.push(["x-request-id", id]);
  headers.push(["x-forwarded-for", init.client ?? "127.0.0.1"], ["x-forwarded-proto", url.protocol.slice(0, -1)]);
  if (init.body !== undefined) headers.push(["content-length", String(bytes.length)]);
  return { method: init.method ?? "GET", target: target.startsWith("/") ? target : url.pathname + url.search, headers, body: bytes, id };
}

/** One connection for all requests of a gateway that come after each other. */
export class TestClient {
  readonly #port: number;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

  constructor(port: number) {
    this.#port = port;
  }

  send({ method, target, headers, body }: Outgoing): Promise<Answered> {
    return new Promise((resolve, reject) => {
      const request = http.request(
        { host: "127.0.0.1", port: this.#port, method, path: target, headers: headers.flat(), agent: this.#agent, timeout: REQUEST_TIMEOUT_MS, setHost: false },
        (response) => {
          const pieces: Buffer[] = [];
          response.on("data", (piece: Buffer) => pieces.push(piece));
          response.on("error", reject);
          response.on("end", () => {
            const bytes = Buffer.concat(pieces);
            resolve({
              status: response.statusCode!,
              headers: headersOf(rawPairs(response.rawHeaders)),
              bytes,
              text: () => bytes.toString("utf8"),
              json: <T>() => JSON.parse(bytes.toString("utf8")) as T,
            });
          });
        },
      );
      request.on("timeout", () => request.destroy(new GatewayError("REQUEST_TIMEOUT", `no answer to ${target} within ${REQUEST_TIMEOUT_MS} ms`)));
      request.on("error", reject);
      request.end(body);
    });
  }

  /** For when time is moved on: the gateway closes connections that were idle for long. */
  dropIdle(): void {
    for (const socket of Object.values(this.#agent.freeSockets).flat()) socket?.destroy();
  }
  close(): void {
    this.#agent.destroy();
  }
}
