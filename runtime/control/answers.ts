/** What an endpoint of the admin API is, is asked, and answers. */
import type { ServerResponse } from "node:http";
import type { AdminGateway } from "./admin.ts";
import type { Role } from "./roles.ts";

export interface Endpoint {
  /** Ends in "/*": whatever follows, as `rest`. */
  readonly path: string;
  /** What comes with a body is a POST. */
  readonly method: "GET" | "POST";
  /** Null: needs no token. */
  readonly role: Role | null;
  /** Of a POST's JSON. 64 KiB when left out. */
  readonly bodyLimitBytes?: number;
  readonly answer: (asked: Asked, gateway: AdminGateway) => Promise<Answer> | Answer;
}

export interface Asked {
  /** The JSON of a POST, else undefined. */
  readonly body: unknown;
  /** What stood for "*" in the path. */
  readonly rest: string;
  readonly query: URLSearchParams;
  /** Whose token it was; "" without one. */
  readonly actor: string;
}

export type Answer = TextAnswer | StreamAnswer;

export interface TextAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Goes on until either side ends it. */
export interface StreamAnswer {
  readonly status: number;
  readonly type: string;
  readonly stream: (response: ServerResponse) => void;
}

/** Every error of the admin API. */
export interface AdminError {
  readonly code:
    | "NOT_FOUND"
    | "METHOD_NOT_ALLOWED"
    | "UNAUTHORIZED"
    | "ROLE_MISSING"
    | "HOST_REFUSED"
    | "ORIGIN_REFUSED"
    | "NOT_READY"
    | "BODY_REFUSED"
    | "NO_CACHE"
    | "PURGE_INCOMPLETE"
    | "RELEASE_REFUSED"
    | "RELEASE_UNKNOWN"
    | "BASE_OUTDATED"
    | "ROLLOUT_RUNNING"
    | "STORE_AWAY"
    | "TOO_MANY_TAILS"
    | "NO_WORKER"
    | "INTERNAL";
  readonly found: string;
  readonly expected: string;
}

export function failure(status: number, error: AdminError): TextAnswer {
  return json(status, error);
}

export function json(status: number, value: object): TextAnswer {
  return { status, type: "application/json", body: `${JSON.stringify(value)}\n` };
}
