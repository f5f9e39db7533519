/** Gateways that are watched live: their rules, `sluice tail` beside them, and one request after the other. */
import { request } from "node:http";
import type { TestContext } from "node:test";
import { type Running, startSluice } from "../e2e/sluice-command.ts";
import { type GatewaySpec, type RunningGateway, startGateway } from "../support/running-gateway.ts";

export const TOKEN = "a-token-for-tests-of-tail";

export interface TailedGateway extends RunningGateway {
  readonly admin: string;
}

export async function gateway(t: TestContext, spec: GatewaySpec): Promise<TailedGateway> {
  const started = await startGateway({ ...spec, env: { ...spec.env, SLUICE_ADMIN_TOKEN: TOKEN } });
  t.after(() => started.stop());
  const [, admin] = await started.process.printed(/admin on (\S+)/);
  return { ...started, admin: admin! };
}

export interface Tailing {
  readonly events: readonly Record<string, unknown>[];
  readonly running: Running;
  /** The first event, old or new, that fits. */
  event(fits: (event: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  stop(): Promise<number>;
}

/** `sluice tail --json` on these gateways; resolves when each of them is followed. */
export async function tailing(t: TestContext, gateways: readonly TailedGateway[], ...args: string[]): Promise<Tailing> {
  const running = startSluice(gateways[0]!.folder, ["tail", "--json", ...gateways.flatMap(({ admin }) => ["--admin", admin]), ...args], undefined, {
    SLUICE_ADMIN_TOKEN: TOKEN,
  });
  t.after(() => running.stop());
  const events = (): Record<string, unknown>[] =>
    running
      .text()
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const event: Tailing["event"] = async (fits) => {
    for (let from = 0; ;) {
      const found = events().slice(from).find(fits);
      if (found) return found;
      from = events().length;
      const length = running.text().length;
      await running.printed(/\n/, length);
    }
  };
  for (let i = 0; i < gateways.length; i++) await event(({ type }) => type === "tail" && events().filter((one) => one["type"] === "tail").length > i);
  return {
    get events() {
      return events();
    },
    running,
    event,
    stop: () => running.stop(),
  };
}

/** On a connection of its own, so that every worker gets some. */
export function get(
  port: number,
  target: string,
  method = "GET",
): Promise<{ status: number; id: string; text: string; headers: Readonly<Record<string, unknown>> }> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: target, method, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, id: String(response.headers["x-request-id"]), text, headers: response.headers }));
    })
      .on("error", reject)
      .end();
  });
}
