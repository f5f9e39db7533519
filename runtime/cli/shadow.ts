/** `sluice deploy --shadow`: a release plays live requests on every gateway and is only compared; and what came of it, for `sluice status`. */
import type { SeenShadow } from "../control/shadow.ts";
import { addedUp, type ShadowStatus } from "../proxy/shadow-status.ts";
import { type AdminPlace, callAdmin } from "./admin-call.ts";
import { harmless } from "./explain-text.ts";
import type { Built } from "./release-build.ts";
import { table } from "./rollout-progress.ts";
import type { Terminal } from "./terminal.ts";

const SHOWN_KINDS = 10;

const POLL_MS = 200;

/** Hands the release in and lets it be compared. Resolves when every live gateway has said whether it does. */
export async function beginShadow(place: AdminPlace, built: Built, share: number, timeoutMs: number, terminal: Terminal): Promise<number> {
  const { id } = built.package.release;
  await callAdmin(place, "/v1/releases", { package: built.package, maps: built.maps });
  let seen = (await callAdmin(place, "/v1/shadow", { release: id, share })) as unknown as SeenShadow;
  const untilMs = performance.now() + timeoutMs;
  while (seen.gateways.some(({ state }) => state === "awaited" || state === "loading") && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    seen = (await callAdmin(place, "/v1/shadow")) as unknown as SeenShadow;
  }
  const left = seen.gateways.filter(({ state }) => state !== "comparing").map(({ gateway, state, reason }) => `${gateway}: ${reason || state}`);
  const where = left.length === 0 ? "" : `, but not everywhere (${left.join("; ")})`;
  const isPlayed = left.length < seen.gateways.length;
  terminal.result(seen, () => [
    ...gatewayLines(seen),
    `release ${id} ${isPlayed ? "plays" : "does not play"} ${percent(share)} of the requests in the shadow of what serves${where}: nothing of it is applied. sluice status shows what differs; sluice deploy --shadow off ends it`,
  ]);
  return left.length === 0 ? 0 : 1;
}

export async function endShadow(place: AdminPlace, terminal: Terminal): Promise<number> {
  const answer = await callAdmin(place, "/v1/shadow/off", {});
  terminal.result(answer, () => [answer["ended"] === true ? "the shadow release is not compared any more" : "there was no shadow release"]);
  return 0;
}

export function shadowLines(seen: SeenShadow | null): string[] {
  if (seen === null || seen.terms === null) return [];
  const { release, share } = seen.terms;
  const sum = addedUp(seen.gateways.flatMap(({ compared }) => compared ?? []));
  return ["", `shadow: release ${release}, ${percent(share)} of the requests`, ...gatewayLines(seen), ...(sum === null ? [] : comparedLines(sum))];
}

function gatewayLines({ gateways }: SeenShadow): string[] {
  return table(
    ["gateway", "shadow", "compared", "equal", "different", "failed", "not compared", "dropped", ""],
    gateways.map(({ gateway, state, reason, compared }) => [
      gateway,
      state,
      ...(["compared", "equal", "different", "failed", "notCompared", "dropped"] as const).map((name) => String(compared?.[name] ?? 0)),
      reason,
    ]),
  );
}

function comparedLines({ kinds, examples }: ShadowStatus): string[] {
  return [
    ...kinds.slice(0, SHOWN_KINDS).map(({ kind, exchanges }) => `  ${exchanges} × ${harmless(kind)}`),
    ...(kinds.length > SHOWN_KINDS ? [`  … and ${kinds.length - SHOWN_KINDS} more kinds (--json has them all)`] : []),
    ...examples.map(({ kind, method, path, what, rule, place }) => {
      const where = rule === "" ? "" : `  (${rule}${place === "" ? "" : ` ${place}`})`;
      return `  e.g. ${harmless(`${method} ${path}`)} ${kind}: ${harmless(what.join("; "))}${where}`;
    }),
  ];
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(4))}%`;
}
