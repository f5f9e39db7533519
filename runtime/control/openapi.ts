/** `GET /v1/openapi.json`: the admin API as an OpenAPI 3.1 document, made of the table that the listener routes by. */
import { z } from "zod";
import { ADMIN_CODES, type AdminCode, type Endpoint, json, type TextAnswer } from "./answers.ts";
import { paramNames } from "./paths.ts";
import { ROLES } from "./roles.ts";

/** What the listener itself refuses, whatever is asked. */
const OF_THE_LISTENER: Readonly<Record<number, readonly AdminCode[]>> = {
  403: ["ORIGIN_REFUSED", "CERTIFICATE_REFUSED"],
  421: ["HOST_REFUSED"],
  429: ["TOO_MANY_REQUESTS"],
  500: ["INTERNAL"],
};

const MEANINGS: Readonly<Record<number, string>> = {
  200: "Done.",
  201: "Taken, and new.",
  202: "Begun; ask again for what comes of it.",
  400: "Asked in a way that nobody understands.",
  401: "No token, or none that is known.",
  403: "The token lacks the role, or a page elsewhere asked.",
  404: "There is none.",
  409: "Not while things are as they are.",
  412: "Based on what is outdated.",
  421: "The Host is not this listener's (DNS rebinding).",
  422: "Understood, and refused for what is in it.",
  429: "Too many; Retry-After tells when.",
  500: "A defect; the log has the rest.",
  503: "Not at the moment.",
};

type Json = Readonly<Record<string, unknown>>;

/** `endpoints`: all that the listener knows, this one's own too. */
export function openApiEndpoint(version: string, endpoints: () => readonly Endpoint[]): Endpoint {
  let made: TextAnswer | null = null;
  return {
    path: "/v1/openapi.json",
    method: "GET",
    role: "read",
    about: "This document.",
    answers: { 200: z.looseObject({ openapi: z.literal("3.1.1"), paths: z.record(z.string(), z.unknown()) }) },
    answer: () => (made ??= json(200, openApiOf(version, endpoints()))),
  };
}

function openApiOf(version: string, endpoints: readonly Endpoint[]): object {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    const path = (paths[endpoint.path] ??= {});
    path[endpoint.method.toLowerCase()] = operationOf(endpoint);
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Sluice admin API",
      version,
      description: `Roles of tokens: ${ROLES.join(", ")}; "admin" may do everything. HEAD is answered as GET, without a body. Numbers that end in UnixMs are milliseconds since 1970.`,
    },
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "SLUICE_ADMIN_TOKEN, the file admin-token in stateDir, or one of admin.tokens" },
        mutualTls: { type: "mutualTLS", description: "With admin.tls.clientCa: a certificate of the client, beside the token" },
      },
      schemas: { Error: schemaOf(errorShape(ADMIN_CODES), "output") },
    },
  };
}

function operationOf(endpoint: Endpoint): Json {
  const { method, path, role, about, parameters = {}, asks } = endpoint;
  const ofPath = paramNames(path);
  const shown = [...ofPath, ...Object.keys(parameters).filter((name) => !ofPath.includes(name))].map((name) => {
    const isInPath = ofPath.includes(name);
    return { name, in: isInPath ? "path" : "query", required: isInPath, description: parameters[name] ?? "", schema: { type: "string" } };
  });
  return {
    operationId: operationId(method, path),
    summary: about,
    // A list beside a scheme that is no OAuth names roles (OpenAPI 3.1.1 section 4.8.30).
    security: role === null ? [] : [{ bearer: [role] }],
    ...(shown.length > 0 ? { parameters: shown } : {}),
    ...(asks === undefined ? {} : { requestBody: { required: true, content: { "application/json": { schema: schemaOf(asks, "input") } } } }),
    responses: responsesOf(endpoint),
  };
}

/** "POST /v1/experiments/{key}/stop" is post-experiments-key-stop. */
function operationId(method: string, path: string): string {
  const words = path
    .replace("/v1/", "/")
    .split(/[^\w]+/)
    .filter((word) => word !== "");
  return [method.toLowerCase(), ...words].join("-");
}

function responsesOf(endpoint: Endpoint): Json {
  const responses: Record<string, unknown> = {};
  for (const [status, shape] of Object.entries(endpoint.answers)) {
    const [type, schema] = typeof shape === "string" ? [shape, { type: "string" }] : ["application/json", schemaOf(shape, "output")];
    responses[status] = { description: MEANINGS[Number(status)] ?? "", content: { [type]: { schema } } };
  }
  for (const [status, codes] of Object.entries(refusalsOf(endpoint))) {
    const content = { "application/json": { schema: schemaOf(errorShape(codes), "output") } };
    responses[status] = { description: MEANINGS[Number(status)] ?? "", content };
  }
  return responses;
}

/** Its own refusals and the listener's. */
function refusalsOf({ role, method, refusals = {} }: Endpoint): Record<number, AdminCode[]> {
  const all: Record<number, AdminCode[]> = {};
  const add = (status: number, codes: readonly AdminCode[]): void => {
    all[status] = [...new Set([...(all[status] ?? []), ...codes])];
  };
  for (const table of [refusals, OF_THE_LISTENER]) for (const [status, codes] of Object.entries(table)) add(Number(status), codes);
  if (method === "POST") add(400, ["BODY_REFUSED"]);
  if (role !== null) {
    add(401, ["UNAUTHORIZED"]);
    add(403, ["ROLE_MISSING"]);
  }
  return all;
}

function errorShape(codes: readonly AdminCode[]): z.ZodType {
  return z.strictObject({ code: z.enum(codes as [AdminCode, ...AdminCode[]]), found: z.string(), expected: z.string() });
}

function schemaOf(shape: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(shape, { io });
  return schema;
}
