/** What an endpoint of the admin API is, is asked, and answers. The listener routes by these, and the OpenAPI file is made of them. */
import type { ServerResponse } from "node:http";
import { z } from "zod";
import type { AdminGateway } from "./admin.ts";
import type { Role } from "./roles.ts";

export interface Endpoint {
  /** "/v1/releases/{id}": a part in braces stands for one segment, decoded, as `params.id`. */
  readonly path: string;
  /** What changes something is a POST. */
  readonly method: "GET" | "POST";
  /** Null: needs no token. */
  readonly role: Role | null;
  /** Who looked, and when, stands in the audit log. Of a POST it always does. Left out: no. */
  readonly audited?: true;
  /** One line: what it does. */
  readonly about: string;
  /** Name → meaning, of parts of the path and of the query. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** The JSON of a POST; what does not fit is refused before `answer` is asked. Left out: no body, or `{}`. */
  readonly asks?: z.ZodType;
  /** Of a POST's JSON. 64 KiB when left out. */
  readonly bodyLimitBytes?: number;
  /** Status → shape of the JSON, or media type of what is none. */
  readonly answers: Readonly<Record<number, z.ZodType | MediaType>>;
  /** Status → codes, of its own refusals. Those of the listener (`openapi.ts`) need no mention. */
  readonly refusals?: Readonly<Record<number, readonly AdminCode[]>>;
  readonly answer: (asked: Asked, gateway: AdminGateway) => Promise<Answer> | Answer;
}

export type MediaType = "text/plain" | "text/html" | "text/event-stream";

export interface Asked {
  /** The JSON of a POST, as `asks` wants it; undefined for a GET. */
  readonly body: unknown;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Whose token it was; "" without one. */
  readonly actor: string;
}

export type Answer = TextAnswer | StreamAnswer;

export interface TextAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  /** Of a 429. */
  readonly retryAfterSeconds?: number;
  /** The next request needs a connection of its own. */
  readonly closes?: true;
}

/** Goes on until either side ends it. */
export interface StreamAnswer {
  readonly status: number;
  readonly type: string;
  readonly stream: (response: ServerResponse) => void;
}

export const ADMIN_CODES = [
  "NOT_FOUND",
  "METHOD_NOT_ALLOWED",
  "UNAUTHORIZED",
  "ROLE_MISSING",
  "HOST_REFUSED",
  "ORIGIN_REFUSED",
  "CERTIFICATE_REFUSED",
  "TOO_MANY_REQUESTS",
  "NOT_READY",
  "BODY_REFUSED",
  "NO_CACHE",
  "PURGE_INCOMPLETE",
  "RELEASE_REFUSED",
  "RELEASE_UNKNOWN",
  "BASE_OUTDATED",
  "ROLLOUT_RUNNING",
  "CANARY_RUNNING",
  "CANARY_REFUSED",
  "NO_CANARY",
  "SHADOW_REFUSED",
  "STORE_AWAY",
  "EXPERIMENT_UNKNOWN",
  "VARIANT_UNKNOWN",
  "TOO_MANY_TAILS",
  "NO_WORKER",
  "INTERNAL",
] as const;
export type AdminCode = (typeof ADMIN_CODES)[number];

/** Every error of the admin API. */
export interface AdminError {
  readonly code: AdminCode;
  readonly found: string;
  readonly expected: string;
}

export function failure(status: number, error: AdminError): TextAnswer {
  return json(status, error);
}

export function json(status: number, value: object): TextAnswer {
  return { status, type: "application/json", body: `${JSON.stringify(value)}\n` };
}
