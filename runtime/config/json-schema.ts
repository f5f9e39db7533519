/** The JSON Schema of `sluice.config.json`, made from the one schema there is. `node runtime/config/json-schema.ts` writes the published file. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { Config } from "./schema.ts";

export const SCHEMA_FILE: string = path.join(import.meta.dirname, "sluice.config.schema.json");

export function jsonSchema(): string {
  const schema = z.toJSONSchema(Config, { io: "input", unrepresentable: "any" }) as { properties: Record<string, unknown> };
  schema.properties = { $schema: { type: "string" }, ...schema.properties };
  return `${JSON.stringify({ title: "Sluice configuration", ...schema }, null, 2)}\n`;
}

if (import.meta.main) writeFileSync(SCHEMA_FILE, jsonSchema());
