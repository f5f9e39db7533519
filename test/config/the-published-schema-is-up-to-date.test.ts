import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { expectTypeOf } from "expect-type";
import { jsonSchema, SCHEMA_FILE } from "../../runtime/config/json-schema.ts";
import { knownKeys } from "../../runtime/config/problems.ts";
import type { ConfigInput } from "../../runtime/config/schema.ts";
import type { ConfigOptions, RedisOptions, RouteCacheOptions } from "../../sdk/config.ts";

test("the JSON Schema is what the schema says (node runtime/config/json-schema.ts writes it)", () => {
  assert.deepEqual(JSON.parse(readFileSync(SCHEMA_FILE, "utf8")), JSON.parse(jsonSchema()));
});

test("defineConfig takes what the schema takes, and nothing else", () => {
  expectTypeOf<keyof ConfigOptions>().toEqualTypeOf<keyof ConfigInput>();
  expectTypeOf<keyof NonNullable<ConfigOptions["limits"]>>().toEqualTypeOf<keyof NonNullable<ConfigInput["limits"]>>();
  expectTypeOf<keyof ConfigOptions["upstreams"][string]>().toEqualTypeOf<keyof ConfigInput["upstreams"][string]>();
  expectTypeOf<keyof NonNullable<ConfigOptions["store"]>>().toEqualTypeOf<keyof NonNullable<ConfigInput["store"]>>();
  expectTypeOf<keyof RedisOptions>().toEqualTypeOf<keyof Exclude<NonNullable<NonNullable<ConfigInput["store"]>["redis"]>, string>>();
  expectTypeOf<keyof NonNullable<ConfigOptions["cache"]>>().toEqualTypeOf<keyof NonNullable<ConfigInput["cache"]>>();
  expectTypeOf<keyof RouteCacheOptions>().toEqualTypeOf<keyof Exclude<NonNullable<NonNullable<ConfigInput["routes"]>[number]["cache"]>, false>>();
  expectTypeOf<keyof NonNullable<ConfigOptions["releases"]>>().toEqualTypeOf<keyof NonNullable<ConfigInput["releases"]>>();
  expectTypeOf<keyof Exclude<ConfigOptions["admin"], false | undefined>>().toEqualTypeOf<keyof Exclude<ConfigInput["admin"], false | undefined>>();
  expectTypeOf<keyof NonNullable<ConfigOptions["log"]>>().toEqualTypeOf<keyof NonNullable<ConfigInput["log"]>>();
});

test("suggestions know every key of the schema", () => {
  const walk = (schema: Record<string, unknown>, path: (string | number)[]): void => {
    const properties = schema["properties"] as Record<string, Record<string, unknown>> | undefined;
    if (properties) {
      const names = Object.keys(properties).filter((name) => name !== "$schema");
      // A choice of { env } and { file }, or of parts of a key.
      if (
        !(
          path[0] === "secrets" ||
          path.at(-1) === "password" ||
          path.at(-1) === "secret" ||
          path.at(-1) === "token" ||
          path.at(-2) === "key" ||
          (path[0] === "experiments" && (path[1] === "key" || path[1] === "previousKeys"))
        )
      )
        assert.deepEqual([...knownKeys(path)].sort(), names.sort(), path.join("."));
      for (const [name, child] of Object.entries(properties)) walk(child, [...path, name]);
    }
    const below = (schema["items"] ?? schema["additionalProperties"]) as Record<string, unknown> | undefined;
    if (typeof below === "object") walk(below, [...path, 0]);
    for (const choice of (schema["anyOf"] ?? []) as Record<string, unknown>[]) walk(choice, path);
  };
  walk(JSON.parse(jsonSchema()) as Record<string, unknown>, []);
});
