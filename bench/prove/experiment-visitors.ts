/** Visitors of experiments for the claims: what they ask, and which cookies they keep. */
import http from "node:http";
import type { AssignFacts } from "../../runtime/experiments/assign/assign.ts";

export const CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

export interface Seen {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** `jar`: cookies of one visitor, by name; what the answer sets is put there. */
export function visit(
  port: number,
  target: string,
  jar: Map<string, string>,
  agent: http.Agent,
  headers: Readonly<Record<string, string>> = {},
): Promise<Seen> {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
  return new Promise((resolve, reject) => {
    const sent = { host: "shop.example", "user-agent": CHROME, accept: "text/html", ...(cookie === "" ? {} : { cookie }), ...headers };
    http
      .get({ host: "127.0.0.1", port, path: target, agent, headers: sent }, (response) => {
        let text = "";
        response.setEncoding("latin1").on("data", (piece: string) => (text += piece));
        response.on("error", reject).on("end", () => {
          for (const line of response.headers["set-cookie"] ?? []) {
            const [pair = ""] = line.split(";");
            const equals = pair.indexOf("=");
            jar.set(pair.slice(0, equals), pair.slice(equals + 1));
          }
          resolve({ status: response.statusCode!, headers: response.headers, text });
        });
      })
      .on("error", reject);
  });
}

/** Facts of somebody whom nothing keeps out of an experiment. */
export function takesPart(unit: string): AssignFacts {
  return {
    unit: () => unit,
    matches: () => true,
    inAudience: () => true,
    isBot: () => false,
    hasConsent: () => true,
    forced: () => null,
    sticky: () => [],
  };
}

/** Does `work` for each number below `count`, so many at once. */
export async function each(count: number, atOnce: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
