/** Asks this gateway's own listeners, as a client would, which release answers. */
import { randomBytes } from "node:crypto";
import http from "node:http";
import type { Clock } from "../clock.ts";
import { PREVIEW_NAME, previewToken } from "../security/preview-token.ts";
import type { Fleet } from "./fleet.ts";
import { reasonOf } from "./start-error.ts";

export interface ListeningAt {
  readonly host: string;
  readonly port: number;
}

const DEADLINE_MS = 5_000;
const TRY_DEADLINE_MS = 2_000;
const AGAIN_MS = 50;
const TOKEN_MS = 60_000;

export interface Proof {
  readonly release: string;
  /** While a canary runs, the probe's own address may be on either side: it asks by a preview. */
  readonly previewKey: string;
}

/** "" when each listener answers with `release`, else why not. */
export async function probe(fleet: Fleet, listeners: readonly ListeningAt[], proof: Proof, clock: Clock): Promise<string> {
  const path = `/.well-known/sluice-probe/${randomBytes(16).toString("hex")}`;
  try {
    await fleet.expectProbe(path);
    const found = await Promise.all(listeners.map((listener) => answered(listener, path, proof, clock)));
    return found.filter((why) => why !== "").join("; ");
  } catch (thrown) {
    return `the probe could not be made: ${reasonOf(thrown)}`;
  } finally {
    // A worker that is lost expects nothing any more.
    await fleet.expectProbe(null).catch(() => undefined);
  }
}

async function answered(listener: ListeningAt, path: string, { release, previewKey }: Proof, clock: Clock): Promise<string> {
  const untilMs = clock.now() + DEADLINE_MS;
  const where = `${listener.host}:${listener.port}`;
  for (;;) {
    let why: string;
    try {
      const { status, serves } = await ask(listener, path, previewToken(previewKey, release, clock.unixMs() + TOKEN_MS));
      // Rules that match every path see its answer too, and may fail: that is theirs to tell, and changes nothing about which release ran.
      if (serves === release) return "";
      why = `${where} answered ${status} on release ${serves || "unknown"}`;
    } catch (thrown) {
      why = `${where} did not answer: ${reasonOf(thrown)}`;
    }
    if (clock.now() >= untilMs) return why;
    await new Promise<void>((resolve) => void clock.after(AGAIN_MS, resolve));
  }
}

function ask({ host, port }: ListeningAt, path: string, token: string): Promise<{ readonly status: number; readonly serves: string }> {
  const address = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return new Promise((resolve, reject) => {
    const request = http.get(
      { host: address, port, path, agent: false, headers: { host: "localhost", [PREVIEW_NAME]: token }, timeout: TRY_DEADLINE_MS },
      (response) => {
        response.resume();
        resolve({ status: response.statusCode ?? 0, serves: String(response.headers["sluice-release"] ?? "") });
      },
    );
    request.once("timeout", () => request.destroy(new Error("no answer in time")));
    request.once("error", reject);
  });
}
