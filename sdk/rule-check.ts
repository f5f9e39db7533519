/** What `defineRule` was given, checked at run time: rules in plain JavaScript and casts get the same sentences as a type error would give. */
import type { Hooks, Rule } from "./rule.ts";
import { describe, expectKnown, whenOf } from "./spec-check.ts";

const HOOKS = ["onRequest", "onOriginRequest", "onOriginResponse", "onResponse", "onError", "onComplete"] as const satisfies readonly (keyof Hooks)[];
const OPTIONS = ["when", "order", "secrets", "onFailure"] as const;

export function checkRule(rule: Readonly<Record<string, unknown>>): Rule {
  if (typeof rule !== "object" || rule === null) throw new TypeError(`defineRule: an object is expected, found ${describe(rule)}`);
  for (const name of Object.keys(rule)) expectKnown(name, [...HOOKS, ...OPTIONS], "defineRule");
  const hooks: Partial<Record<keyof Hooks, (...args: never[]) => unknown>> = {};
  for (const name of HOOKS) {
    const hook = rule[name];
    if (hook === undefined) continue;
    if (typeof hook !== "function") throw new TypeError(`defineRule: ${name}: a function is expected, found ${describe(hook)}`);
    // The rule stays `this`, so that hooks may call each other.
    hooks[name] = (...args) => Reflect.apply(hook, rule, args);
  }
  return Object.freeze({
    kind: "rule",
    when: whenOf(rule["when"], "defineRule: when"),
    order: orderOf(rule["order"]),
    secrets: secretsOf(rule["secrets"]),
    onFailure: onFailureOf(rule["onFailure"]),
    hooks: Object.freeze(hooks),
  });
}

function orderOf(order: unknown): number {
  if (order === undefined) return 0;
  if (typeof order !== "number" || !Number.isFinite(order)) throw new TypeError(`defineRule: order: a finite number is expected, found ${describe(order)}`);
  return order;
}

function secretsOf(secrets: unknown): readonly string[] {
  if (secrets === undefined) return Object.freeze([]);
  if (!Array.isArray(secrets) || !secrets.every((name) => typeof name === "string" && name !== "")) {
    throw new TypeError(`defineRule: secrets: a list of names is expected, found ${describe(secrets)}`);
  }
  return Object.freeze([...new Set(secrets as string[])].sort());
}

function onFailureOf(value: unknown): "closed" | "open" {
  if (value === undefined) return "closed";
  if (value !== "closed" && value !== "open") throw new TypeError(`defineRule: onFailure: "closed" or "open" is expected, found ${describe(value)}`);
  return value;
}
