/** The key `record`: which requests are kept for `sluice plan --replay`, and which of their headers. */
import { isToken } from "../proxy/fields.ts";
import { shown } from "./problems.ts";
import type { RecordConfig } from "./resolved.ts";
import type { ConfigInput } from "./schema.ts";
import { share } from "./units.ts";

/** What sites decide by, and what tells nothing of who asks: of requests and of answers. */
export const RECORDED_HEADERS: readonly string[] = [
  "accept",
  "accept-encoding",
  "accept-language",
  "cache-control",
  "content-encoding",
  "content-language",
  "content-type",
  "range",
  "sec-ch-ua-mobile",
  "sec-ch-ua-platform",
  "sec-fetch-dest",
  "sec-fetch-mode",
  "sec-fetch-site",
  "upgrade-insecure-requests",
  "user-agent",
  "vary",
  "x-requested-with",
];

/** Who somebody is, and what lets them in. Nobody may have these recorded. */
const NEVER: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "cookie2",
  "forwarded",
  "from",
  "proxy-authorization",
  "set-cookie",
  "set-cookie2",
  "sluice-debug",
  "true-client-ip",
  "x-api-key",
  "x-client-ip",
  "x-forwarded-for",
  "x-real-ip",
  "x-request-id",
]);

type Report = (path: readonly (string | number)[], text: string) => void;

export function recordOf(input: ConfigInput["record"], report: Report): RecordConfig {
  const headers = (input?.headers ?? RECORDED_HEADERS).map((name, i) => {
    const lower = name.toLowerCase();
    if (!isToken(name)) report(["record", "headers", i], `found ${shown(name)}, expected a header name`);
    else if (NEVER.has(lower))
      report(["record", "headers", i], `found ${shown(name)}, expected a header that does not tell who asks: this one is never recorded`);
    return lower;
  });
  return { share: share(input?.share ?? "0%"), headers };
}
