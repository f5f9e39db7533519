/** What `sluice plan` says about the config that a deploy carries. */
import type { Change } from "../compile/difference.ts";
import { configChanges, LOCAL_KEYS } from "../config/config.ts";
import type { SharedConfig } from "../config/schema.ts";

/** `routesTold`: what differs in the routes is said already, in words of its own. */
export function configPlan(before: SharedConfig, after: SharedConfig, routesTold: boolean): Change[] {
  return configChanges(before, after, routesTold ? ["routes"] : []).map(({ key, how, before: was, after: is }): Change => {
    const text = how === "changed" ? `${was} → ${is}` : how === "added" ? is : `no longer ${was}`;
    return { about: "config", how, subject: key, text };
  });
}

/** For people: what the changes cost, and what is not among them. */
export function configNotes(changes: readonly Change[]): string[] {
  return [
    ...(changes.some(({ about, subject }) => about === "config" && !subject.startsWith("routes"))
      ? ["  The config changes: workers are replaced without losing a request; WebSockets and answers that still run end at limits.drain."]
      : []),
    `  ${LOCAL_KEYS.join(", ")} belong to each gateway's own config: no deploy changes them.`,
  ];
}
