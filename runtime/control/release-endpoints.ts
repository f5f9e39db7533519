/** `/v1/releases` and `/v1/rollouts`. */
import { z } from "zod";
import type { RouteConfig } from "../config/resolved.ts";
import type { Release } from "../compile/release.ts";
import { GatewayError } from "../errors.ts";
import { type Asked, type Endpoint, failure, json, type TextAnswer } from "./answers.ts";
import { PackageError } from "./release-package.ts";
import type { Follower } from "./follower.ts";
import type { ReleaseShelf } from "./release-shelf.ts";
import type { Rollout, Rollouts } from "./rollouts.ts";

export interface ReleaseDesk {
  readonly shelf: ReleaseShelf;
  readonly follower: Follower;
  readonly rollouts: Rollouts;
  /** What serves here, deployed or not. */
  readonly current: () => { readonly release: Release; readonly routes: readonly RouteConfig[] };
}

/** Code and source maps of the largest release, as JSON. */
const UPLOAD_LIMIT_BYTES = 64 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 60_000;
const LONGEST_TIMEOUT_MS = 600_000;

const Upload = z.strictObject({ package: z.unknown(), maps: z.unknown() });
const Order = z.strictObject({
  release: z.string().regex(/^[0-9a-f]{12}$/, "a release id of 12 hex digits"),
  base: z.int().min(0),
  kind: z.enum(["deploy", "rollback"]).optional(),
  dryRun: z.boolean().optional(),
  message: z.string().max(1000).optional(),
  timeoutMs: z.int().min(1).max(LONGEST_TIMEOUT_MS).optional(),
});

/** `desk` null: this gateway takes no releases (`sluice dev`), or is still starting. */
export function releaseEndpoints(desk: () => ReleaseDesk | null): Endpoint[] {
  const at =
    (run: (asked: Asked, desk: ReleaseDesk) => Promise<TextAnswer>) =>
    async (asked: Asked): Promise<TextAnswer> => {
      const open = desk();
      if (open === null)
        return failure(503, { code: "NOT_READY", found: "a gateway that takes no releases, or not yet", expected: "one that was started with sluice start" });
      try {
        return await run(asked, open);
      } catch (thrown) {
        if (thrown instanceof PackageError)
          return failure(422, { code: "RELEASE_REFUSED", found: thrown.message, expected: "a release as sluice deploy makes it" });
        if (thrown instanceof GatewayError) return failure(503, { code: "STORE_AWAY", found: thrown.message, expected: "a store that answers" });
        throw thrown;
      }
    };
  return [
    { path: "/v1/releases", method: "GET", role: "read", answer: at(list) },
    { path: "/v1/releases", method: "POST", role: "upload", bodyLimitBytes: UPLOAD_LIMIT_BYTES, answer: at(upload) },
    { path: "/v1/releases/*", method: "GET", role: "read", answer: at(one) },
    { path: "/v1/rollouts", method: "GET", role: "read", answer: at(async (_asked, { rollouts }) => json(200, { rollouts: rollouts.all })) },
    { path: "/v1/rollouts", method: "POST", role: "activate", answer: at(rollOut) },
    { path: "/v1/rollouts/*", method: "GET", role: "read", answer: at(async ({ rest }, { rollouts }) => told(rest, rollouts.get(Number(rest)))) },
  ];
}

async function list(_asked: Asked, { shelf, follower, current }: ReleaseDesk): Promise<TextAnswer> {
  const { releases, history } = await shelf.list();
  return json(200, { releases: [...releases].reverse(), history, head: history[0] ?? null, here: { release: current().release.id, epoch: follower.epoch } });
}

async function upload({ body }: Asked, { shelf }: ReleaseDesk): Promise<TextAnswer> {
  const parsed = Upload.safeParse(body);
  if (!parsed.success) return failure(400, { code: "BODY_REFUSED", found: "something else", expected: "{ package, maps }" });
  const { entry, fresh } = await shelf.put(parsed.data.package, parsed.data.maps);
  return json(fresh ? 201 : 200, entry);
}

async function one({ rest }: Asked, { shelf, current }: ReleaseDesk): Promise<TextAnswer> {
  const here = current();
  // What was never deployed is in no store.
  if (rest === "current" || rest === here.release.id) return json(200, { release: here.release, routes: here.routes });
  const taken = /^[0-9a-f]{12}$/.test(rest) ? await shelf.take(rest) : null;
  if (taken === null)
    return failure(404, { code: "RELEASE_UNKNOWN", found: rest.slice(0, 100), expected: "the id of a release that GET /v1/releases lists, or current" });
  return json(200, taken.release);
}

async function rollOut({ body, actor }: Asked, { rollouts }: ReleaseDesk): Promise<TextAnswer> {
  const parsed = Order.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return failure(400, {
      code: "BODY_REFUSED",
      found: `${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`,
      expected: "{ release, base, kind?, dryRun?, message?, timeoutMs? }",
    });
  }
  const { release, base, kind = "deploy", dryRun = false, message = "", timeoutMs = DEFAULT_TIMEOUT_MS } = parsed.data;
  const begun = await rollouts.begin({ release, base, kind, dryRun, message, timeoutMs, by: actor });
  if (!("refused" in begun)) return json(202, begun);
  switch (begun.refused) {
    case "unknown":
      return failure(404, { code: "RELEASE_UNKNOWN", found: release, expected: "the id of a release that GET /v1/releases lists" });
    case "outdated": {
      const { newer } = begun;
      const what =
        newer === null
          ? "nothing was ever deployed (epoch 0)"
          : `epoch ${newer.epoch}: release ${newer.release} by ${newer.by || "somebody"}${newer.message === "" ? "" : `, "${newer.message}"`}`;
      return failure(412, { code: "BASE_OUTDATED", found: `a rollout based on epoch ${base}`, expected: `one based on what serves now: ${what}` });
    }
    case "running":
      return failure(409, {
        code: "ROLLOUT_RUNNING",
        found: `rollout ${begun.other.number} of release ${begun.other.release} by ${begun.other.by || "somebody"}`,
        expected: "its end, or its expiry",
      });
  }
}

function told(rest: string, rollout: Rollout | null): TextAnswer {
  return rollout === null
    ? failure(404, { code: "NOT_FOUND", found: rest.slice(0, 100), expected: "the number of a rollout that this gateway led since its start" })
    : json(200, rollout);
}
