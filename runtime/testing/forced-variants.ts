/** `variants` of a rule test: forced as by a QA link, by a cookie that the gateway's own key has signed. */
import type { RequestOptions } from "../../sdk/testing.ts";
import { QA_COOKIE, QA_LIFETIME_LIMIT_MS, signQaToken } from "../experiments/assign/assign.ts";
import type { Core } from "../proxy/core.ts";

type Variants = Readonly<Record<string, string>>;

/** The request with a cookie more. Throws a `TypeError` for variants that there are none of. */
export function withVariants(init: RequestOptions, core: Core, variants: Variants): RequestOptions {
  if (Object.keys(variants).length === 0) return init;
  const { headers = {} } = init;
  const name = Object.keys(headers).find((each) => each.toLowerCase() === "cookie") ?? "cookie";
  return { ...init, headers: { ...headers, [name]: [...[headers[name] ?? []].flat(), forcingCookie(core, variants)].join("; ") } };
}

function forcingCookie(core: Core, variants: Variants): string {
  const seat = core.experiments;
  const known = new Map(
    (core.table.loaded?.release.rules ?? []).flatMap(({ manifest: { experiment } }) =>
      experiment === undefined ? [] : [[experiment.key, experiment.variants.map(({ key }) => key)] as const],
    ),
  );
  for (const [key, variant] of Object.entries(variants)) {
    const names = known.get(key);
    if (names === undefined) throw unfit(`"${key}" is no experiment of these rules; there ${said([...known.keys()])}`);
    if (!names.includes(variant)) throw unfit(`experiment "${key}" has no variant "${variant}"; there ${said(names)}`);
  }
  if (seat === null) throw unfit("these rules hold no experiment");
  const nowMs = core.clock.unixMs();
  return `${QA_COOKIE}=${signQaToken({ variants, expiresAtMs: nowMs + QA_LIFETIME_LIMIT_MS }, seat.keys, nowMs)}`;
}

function said(names: readonly string[]): string {
  return names.length === 0 ? "are none" : `is ${names.join(", ")}`;
}

function unfit(text: string): TypeError {
  return new TypeError(`variants: ${text}`);
}
