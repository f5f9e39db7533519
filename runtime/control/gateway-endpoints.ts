/** The endpoints that ask the gateway itself: health, metrics, status, purge. */
import { z } from "zod";
import type { AdminGateway } from "./admin.ts";
import { type Endpoint, failure, json, type TextAnswer } from "./answers.ts";
import { readPurge } from "./purge-request.ts";
import { StatusShape } from "./status-shape.ts";

const PurgeOrder = z.strictObject({
  url: z.string().optional(),
  prefix: z.string().optional(),
  tag: z.string().optional(),
  all: z.literal(true).optional(),
  soft: z.boolean().optional().describe("stale instead of gone"),
});
const Purged = z.strictObject({ purged: z.record(z.string(), z.union([z.string(), z.literal(true)])), soft: z.boolean(), workers: z.int() });

export const gatewayEndpoints: readonly Endpoint[] = [
  {
    path: "/health",
    method: "GET",
    role: null,
    about: "Answers while the process lives.",
    answers: { 200: z.strictObject({ status: z.literal("alive") }) },
    answer: () => json(200, { status: "alive" }),
  },
  {
    path: "/ready",
    method: "GET",
    role: null,
    about: "Ready while at least one worker serves; otherwise 503 and why not.",
    answers: { 200: z.strictObject({ status: z.literal("ready") }) },
    refusals: { 503: ["NOT_READY"] },
    answer: (_asked, gateway) => ready(gateway),
  },
  {
    path: "/metrics",
    method: "GET",
    role: "read",
    about: "Prometheus text, version 0.0.4.",
    answers: { 200: "text/plain" },
    answer: async (_asked, gateway) => ({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: await gateway.metrics() }),
  },
  {
    path: "/v1/status",
    method: "GET",
    role: "read",
    about: "Workers, release, targets, store, last reload of this gateway; and what all gateways serve.",
    answers: { 200: StatusShape },
    answer: async (_asked, gateway) => json(200, await gateway.status()),
  },
  {
    path: "/v1/cache/purge",
    method: "POST",
    role: "activate",
    about: "Takes answers out of the cache of every gateway: exactly one of url, prefix, tag and all.",
    asks: PurgeOrder,
    answers: { 200: Purged },
    refusals: { 409: ["NO_CACHE"], 503: ["PURGE_INCOMPLETE"] },
    answer: ({ body }, gateway) => purge(gateway, body),
  },
];

async function purge(gateway: AdminGateway, body: unknown): Promise<TextAnswer> {
  const order = readPurge(body);
  if ("expected" in order) return failure(400, { code: "BODY_REFUSED", ...order });
  const report = await gateway.purge(order);
  if (report === null) return failure(409, { code: "NO_CACHE", found: "a config without cache", expected: "cache: {}, or a route with cache" });
  if (report.reason !== "")
    return failure(503, {
      code: "PURGE_INCOMPLETE",
      found: `${report.done} of ${report.members} workers: ${report.reason}`,
      expected: "every worker of every gateway",
    });
  return json(200, { purged: { [order.kind]: order.kind === "all" ? true : order.value }, soft: order.soft, workers: report.done });
}

function ready(gateway: AdminGateway): TextAnswer {
  const why = gateway.notReady();
  return why === "" ? json(200, { status: "ready" }) : failure(503, { code: "NOT_READY", found: why, expected: "at least one worker that serves" });
}
