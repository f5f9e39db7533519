/** `/v1/recordings`: requests that gateways have kept for `sluice plan --replay`. They tell of visitors, so they have a role of their own. */
import { z } from "zod";
import type { Recordings } from "../observe/recordings/recordings.ts";
import { type AdminCode, type Endpoint, failure, json } from "./answers.ts";
import { atDesk } from "./desk.ts";

const DEFAULT_COUNT = 1_000;
const MOST = 10_000;
const REFUSALS: Readonly<Record<number, readonly AdminCode[]>> = { 503: ["STORE_AWAY", "NOT_READY"] };

/** Null: this gateway has no store to ask (`sluice dev`), or is still starting. */
export function recordingEndpoints(recordings: () => Recordings | null): Endpoint[] {
  const at = atDesk(recordings, { found: "a gateway that records nothing, or not yet", expected: "one that was started with sluice start" });
  return [
    {
      path: "/v1/recordings",
      method: "GET",
      role: "recordings",
      audited: true,
      about: "The requests that were recorded last, on all gateways that share this one's store, oldest first; nothing is older than 24 hours.",
      parameters: { last: `how many at most: 1 to ${MOST}, ${DEFAULT_COUNT} by default` },
      answers: { 200: z.strictObject({ recordings: z.array(z.unknown()), unreadable: z.int() }) },
      refusals: { ...REFUSALS, 400: ["BODY_REFUSED"] },
      answer: at(async ({ query }, open) => {
        const last = Number(query.get("last") ?? DEFAULT_COUNT);
        if (!Number.isInteger(last) || last < 1 || last > MOST)
          return failure(400, { code: "BODY_REFUSED", found: `last=${(query.get("last") ?? "").slice(0, 100)}`, expected: `1 to ${MOST}` });
        return json(200, await open.last(last));
      }),
    },
    {
      path: "/v1/recordings/purge",
      method: "POST",
      role: "recordings",
      about: "Forgets every recorded request of all gateways that share this one's store.",
      answers: { 200: z.strictObject({ purged: z.literal(true) }) },
      refusals: REFUSALS,
      answer: at(async (_asked, open) => {
        await open.purge();
        return json(200, { purged: true });
      }),
    },
  ];
}
