/** `/v1/canary`, and previews of releases that do not serve. */
import { z } from "zod";
import { PREVIEW_LONGEST_MS, PREVIEW_NAME, previewToken } from "../../security/preview-token.ts";
import { type Asked, type Endpoint, failure, json, type TextAnswer } from "../answers.ts";
import type { ReleaseDesk } from "../release-endpoints.ts";
import { RolloutShape } from "../release-shapes.ts";
import type { CanaryEnd, Change } from "./canary.ts";
import { promoted, stepped, takenBack } from "./canary.ts";
import { CanaryEndShape, CanaryOrderShape, CanaryViewShape } from "./shapes.ts";

type At = (run: (asked: Asked, desk: ReleaseDesk) => Promise<TextAnswer>) => Endpoint["answer"];

const DEFAULT_PREVIEW_MS = 60 * 60_000;
const Lifetime = z.strictObject({ lifetimeMs: z.number().min(1000).lt(PREVIEW_LONGEST_MS).optional().describe("an hour by default, less than a week") });
const AWAY = { 503: ["STORE_AWAY", "NOT_READY"] } as const;

export function canaryEndpoints(at: At): Endpoint[] {
  return [
    {
      path: "/v1/canary",
      method: "GET",
      role: "read",
      about: "The canary that runs, with what its steps counted; and what came of the last one.",
      answers: { 200: z.strictObject({ running: CanaryViewShape.nullable(), last: CanaryEndShape.nullable() }) },
      refusals: AWAY,
      answer: at(shown),
    },
    {
      path: "/v1/canary",
      method: "POST",
      role: "activate",
      about: "Ends the canary, or lets it go on: rollback, promote (it serves), step (the next share).",
      asks: CanaryOrderShape,
      answers: { 202: RolloutShape },
      refusals: { ...AWAY, 409: ["NO_CANARY"] },
      answer: at(changed),
    },
    {
      path: "/v1/releases/{id}/preview",
      method: "POST",
      role: "activate",
      about: "A signed, expiring header and cookie with which requests run on this release, whatever serves.",
      parameters: { id: "of a release that is kept" },
      asks: Lifetime,
      answers: { 200: z.strictObject({ header: z.string(), value: z.string(), cookie: z.string(), untilUnixMs: z.number() }) },
      refusals: { ...AWAY, 404: ["RELEASE_UNKNOWN"] },
      answer: at(previewed),
    },
  ];
}

async function shown(_asked: Asked, { shelf, steward }: ReleaseDesk): Promise<TextAnswer> {
  const { history } = await shelf.list();
  const last: CanaryEnd | null = history.find(({ ended }) => ended !== undefined)?.ended ?? null;
  return json(200, { running: steward.view(), last });
}

async function changed({ body, actor }: Asked, { rollouts, steward }: ReleaseDesk): Promise<TextAnswer> {
  const { action, message = "" } = body as z.infer<typeof CanaryOrderShape>;
  const picture = steward.view()?.picture ?? null;
  const facts: Omit<Change, "nowUnixMs"> = { by: actor, message: message || `${action} was asked for`, because: "asked", picture };
  const made = await rollouts.change({
    epoch: null,
    by: actor,
    make(head, canary, nowUnixMs) {
      const change = { ...facts, nowUnixMs };
      if (action === "rollback") return takenBack(head, canary, change);
      return action === "promote" ? promoted(canary, change) : stepped(head, canary, change);
    },
  });
  if (!("refused" in made)) return json(202, made);
  return failure(409, {
    code: "NO_CANARY",
    found: action === "step" && steward.view() !== null ? "a canary at its last step" : "no canary that runs",
    expected: action === "step" ? "one with a step left; promote lets it serve" : "one that sluice deploy --canary began",
  });
}

async function previewed({ body, params }: Asked, { shelf, current, previewKey, nowUnixMs }: ReleaseDesk): Promise<TextAnswer> {
  const { lifetimeMs = DEFAULT_PREVIEW_MS } = body as z.infer<typeof Lifetime>;
  const id = params["id"]!;
  const known = id === current().release.id || (await shelf.list()).releases.some((release) => release.id === id);
  if (!known) return failure(404, { code: "RELEASE_UNKNOWN", found: id.slice(0, 100), expected: "the id of a release that GET /v1/releases lists" });
  const untilUnixMs = nowUnixMs() + lifetimeMs;
  const value = previewToken(previewKey(), id, untilUnixMs);
  const cookie = `${PREVIEW_NAME}=${value}; Path=/; Max-Age=${Math.floor(lifetimeMs / 1000)}; SameSite=Lax`;
  return json(200, { header: PREVIEW_NAME, value, cookie, untilUnixMs });
}
