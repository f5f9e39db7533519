/** A proxy before an admin listener that holds each answer against the OpenAPI document: status, media type, shape of the JSON. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { z } from "zod";
import { paramsOf } from "../../runtime/control/paths.ts";

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, { readonly schema: object }>> }>>;
  readonly security: readonly object[];
  readonly summary: string;
}

export interface ApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface HeldApi {
  readonly url: string;
  /** "POST /v1/releases 201" of every answer so far. */
  readonly seen: ReadonlySet<string>;
  /** What did not fit. */
  readonly faults: readonly string[];
  close(): void;
}

export async function holdToDocument(admin: string, api: ApiDocument): Promise<HeldApi> {
  const seen = new Set<string>();
  const faults: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const pieces: Buffer[] = [];
    incoming.on("data", (piece: Buffer) => pieces.push(piece));
    incoming.on("end", () => {
      const { authorization = "" } = incoming.headers;
      const method = incoming.method!;
      const body = pieces.length === 0 ? {} : { body: Buffer.concat(pieces) };
      fetch(`${admin}${incoming.url!}`, { method, headers: authorization === "" ? {} : { authorization }, ...body })
        .then(async (answer) => {
          const text = await answer.text();
          faults.push(...faultsOf(api, method, incoming.url!.split("?")[0]!, answer, text, seen));
          outgoing.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" });
          outgoing.end(text);
        })
        .catch((thrown: unknown) => {
          faults.push(`${method} ${incoming.url}: ${String(thrown)}`);
          outgoing.destroy();
        });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    faults,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function faultsOf(api: ApiDocument, method: string, path: string, answer: Response, text: string, seen: Set<string>): string[] {
  const pattern = Object.keys(api.paths).find((one) => paramsOf(one, path) !== null);
  const operation = pattern === undefined ? undefined : api.paths[pattern]![method.toLowerCase()];
  const what = `${method} ${pattern ?? path} ${answer.status}`;
  if (operation === undefined) return [404, 405, 401].includes(answer.status) ? [] : [`${what}: the document does not have it`];
  seen.add(what);
  const content = operation.responses[answer.status]?.content;
  if (content === undefined) return [`${what}: the document has no such answer: ${text.slice(0, 300)}`];
  const type = (answer.headers.get("content-type") ?? "").split(";")[0]!;
  const schema = content[type]?.schema;
  if (schema === undefined) return [`${what}: ${type}, the document has ${Object.keys(content).join(", ")}`];
  if (type !== "application/json") return [];
  const parsed = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(JSON.parse(text));
  return parsed.success ? [] : [`${what}: ${z.prettifyError(parsed.error)} in ${text.slice(0, 1000)}`];
}

/** All of them: method, path with its parts in braces, and what stands there. */
export function operationsOf(api: ApiDocument): { readonly method: string; readonly path: string; readonly operation: Operation }[] {
  assert.match(api.openapi, /^3\.1\./);
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}
