/** `/v1/releases` and `/v1/rollouts`. */
import { z } from "zod";
import type { RouteConfig } from "../config/resolved.ts";
import type { SharedConfig } from "../config/schema.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import type { Recordings } from "../observe/recordings/recordings.ts";
import { type AdminCode, type Asked, type Endpoint, failure, json, type TextAnswer } from "./answers.ts";
import { atDesk } from "./desk.ts";
import { Order, ReleaseListShape, RolloutShape, ShelfEntryShape, Upload } from "./release-shapes.ts";
import type { Follower } from "./follower.ts";
import type { ReleaseShelf } from "./release-shelf.ts";
import { headText, type Rollout, type Rollouts } from "./rollouts.ts";
import { canaryEndpoints } from "./canary/endpoints.ts";
import type { Steward } from "./canary/steward.ts";

export interface ReleaseDesk {
  readonly shelf: ReleaseShelf;
  readonly follower: Follower;
  readonly rollouts: Rollouts;
  readonly steward: Steward;
  /** What previews are signed with. */
  readonly previewKey: () => string;
  readonly nowUnixMs: () => number;
  readonly recordings: Recordings;
  /** What serves here, deployed or not. */
  readonly current: () => { readonly release: Release; readonly maps: SourceMaps; readonly routes: readonly RouteConfig[]; readonly config: SharedConfig };
}

/** Code and source maps of the largest release, as JSON. */
const UPLOAD_LIMIT_BYTES = 64 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 60_000;

/** Of all that is asked here. */
const REFUSALS: Readonly<Record<number, readonly AdminCode[]>> = { 422: ["RELEASE_REFUSED"], 503: ["STORE_AWAY", "NOT_READY"] };

/** `desk` null: this gateway takes no releases (`sluice dev`), or is still starting. */
export function releaseEndpoints(desk: () => ReleaseDesk | null): Endpoint[] {
  const at = atDesk(desk);
  return [
    {
      path: "/v1/releases",
      method: "GET",
      role: "read",
      about: "The releases that are kept, newest first, and what served when.",
      answers: { 200: ReleaseListShape },
      refusals: REFUSALS,
      answer: at(list),
    },
    {
      path: "/v1/releases",
      method: "POST",
      role: "upload",
      about: "Hands in a release as sluice deploy makes it. 200: it was there.",
      asks: Upload,
      bodyLimitBytes: UPLOAD_LIMIT_BYTES,
      answers: { 200: ShelfEntryShape, 201: ShelfEntryShape },
      refusals: REFUSALS,
      answer: at(upload),
    },
    {
      path: "/v1/releases/{id}",
      method: "GET",
      role: "read",
      about: "A release with its code and its config as written; of the one that serves here, `routes` too: what its routes mean.",
      parameters: {
        id: "of a release that is kept, or current: what serves here, deployed or not",
        maps: "true: with source maps, of the one that serves here",
      },
      answers: { 200: z.looseObject({ release: z.unknown(), config: z.record(z.string(), z.unknown()) }) },
      refusals: { ...REFUSALS, 404: ["RELEASE_UNKNOWN"] },
      answer: at(one),
    },
    {
      path: "/v1/rollouts",
      method: "GET",
      role: "read",
      about: "What came of the rollouts that this gateway led since its start.",
      answers: { 200: z.strictObject({ rollouts: z.array(RolloutShape) }) },
      refusals: REFUSALS,
      answer: at(async (_asked, { rollouts }) => json(200, { rollouts: rollouts.all })),
    },
    {
      path: "/v1/rollouts",
      method: "POST",
      role: "activate",
      about: "Lets a release serve on every gateway or on none. 412: somebody else deployed since the epoch base.",
      asks: Order,
      answers: { 202: RolloutShape },
      refusals: { ...REFUSALS, 404: ["RELEASE_UNKNOWN"], 409: ["ROLLOUT_RUNNING", "CANARY_RUNNING", "CANARY_REFUSED"], 412: ["BASE_OUTDATED"] },
      answer: at(rollOut),
    },
    {
      path: "/v1/rollouts/{number}",
      method: "GET",
      role: "read",
      about: "How far a rollout is.",
      parameters: { number: "as POST /v1/rollouts told it" },
      answers: { 200: RolloutShape },
      refusals: { ...REFUSALS, 404: ["NOT_FOUND"] },
      answer: at(async ({ params }, { rollouts }) => told(params["number"]!, rollouts.get(Number(params["number"])))),
    },
    ...canaryEndpoints(at),
  ];
}

async function list(_asked: Asked, { shelf, follower, current }: ReleaseDesk): Promise<TextAnswer> {
  const { releases, history } = await shelf.list();
  return json(200, { releases: [...releases].reverse(), history, head: history[0] ?? null, here: { release: current().release.id, epoch: follower.epoch } });
}

async function upload({ body }: Asked, { shelf }: ReleaseDesk): Promise<TextAnswer> {
  const { package: handed, maps } = body as z.infer<typeof Upload>;
  const { entry, fresh } = await shelf.put(handed, maps);
  return json(fresh ? 201 : 200, entry);
}

async function one({ params, query }: Asked, { shelf, current }: ReleaseDesk): Promise<TextAnswer> {
  const id = params["id"]!;
  const { maps, ...here } = current();
  // What was never deployed is in no store.
  if (id === "current" || id === here.release.id) return json(200, query.get("maps") === "true" ? { ...here, maps } : here);
  const taken = /^[0-9a-f]{12}$/.test(id) ? await shelf.take(id) : null;
  if (taken === null)
    return failure(404, { code: "RELEASE_UNKNOWN", found: id.slice(0, 100), expected: "the id of a release that GET /v1/releases lists, or current" });
  return json(200, taken.release);
}

async function rollOut({ body, actor }: Asked, { rollouts }: ReleaseDesk): Promise<TextAnswer> {
  const { release, base, kind = "deploy", dryRun = false, message = "", timeoutMs = DEFAULT_TIMEOUT_MS, canary = null } = body as z.infer<typeof Order>;
  const begun = await rollouts.begin({ release, base, kind, dryRun, message, timeoutMs, canary, by: actor });
  if (!("refused" in begun)) return json(202, begun);
  switch (begun.refused) {
    case "unknown":
      return failure(404, { code: "RELEASE_UNKNOWN", found: release, expected: "the id of a release that GET /v1/releases lists" });
    case "outdated":
      return failure(412, {
        code: "BASE_OUTDATED",
        found: `a rollout based on epoch ${base}`,
        expected: `one based on what serves now: ${headText(begun.newer)}`,
      });
    case "canary":
      return failure(409, {
        code: "CANARY_RUNNING",
        found: `release ${begun.canary.release} as canary, by ${begun.canary.by || "somebody"}`,
        expected: "its end: sluice promote, or sluice rollback",
      });
    case "incomparable":
      return failure(409, { code: "CANARY_REFUSED", found: begun.found, expected: begun.expected });
    case "running":
      return failure(409, {
        code: "ROLLOUT_RUNNING",
        found: `rollout ${begun.other.number} of release ${begun.other.release} by ${begun.other.by || "somebody"}`,
        expected: "its end, or its expiry",
      });
  }
}

function told(number: string, rollout: Rollout | null): TextAnswer {
  return rollout === null
    ? failure(404, { code: "NOT_FOUND", found: number.slice(0, 100), expected: "the number of a rollout that this gateway led since its start" })
    : json(200, rollout);
}
