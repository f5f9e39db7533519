/** One recorded request, as it is kept and as `sluice plan --replay` reads it. Pure: the shape, and what may stand in it. */
import { z } from "zod";
import { PHASES } from "../../compile/release.ts";

const short = z.string().max(2_048);
const pairs = z.array(z.tuple([short, short])).max(100);
const head = z.strictObject({ status: z.int(), headers: pairs });

export const Recording = z.strictObject({
  /** A digest of the request id: a trusted client may write anything into that. */
  id: short,
  atUnixMs: z.number(),
  /** The release that decided. */
  release: short,
  method: short,
  scheme: z.enum(["http", "https"]),
  host: short,
  /** Path and query; each value of the query is a keyed digest. */
  target: z.string().max(8_192),
  /** Those that config allows. */
  headers: pairs,
  /** It came with a body, which is not kept. */
  hasBody: z.boolean(),
  /** Per hook call: phase, clock, and the part of its seed that `ctx.random()` is drawn from (never the part of `crypto`). */
  draws: z.array(z.tuple([z.enum(PHASES), z.number(), z.string().regex(/^[0-9a-f]{8}$/)])).max(100),
  /** Experiment → variant that the visitor was shown. */
  variants: z.record(short, short),
  /** What the origin answered before any rule saw it, or how it failed; null: it was not asked. */
  origin: z.union([head, z.strictObject({ code: short })]).nullable(),
  /** The answer that came out of the cache; null: none did. */
  cached: head.nullable(),
  /** What services told rules. */
  calls: z
    .array(
      z.strictObject({
        rule: short,
        service: short,
        /** What was called, in words that hold nobody's data: "get", "GET https://api.example.com". */
        word: short,
        ok: z.boolean(),
        /** The reply with texts as digests; of a refusal its code. */
        value: z.json(),
      }),
    )
    .max(200),
  /** What became of it. */
  decided: z.strictObject({
    status: z.int(),
    answeredBy: short,
    upstream: short,
    /** What rules changed, by name. */
    changed: z.array(short).max(200),
  }),
});
export type Recording = z.infer<typeof Recording>;

/** A line of the store as a recording; null for what is none (another version's, or damaged). */
export function readRecording(line: string): Recording | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Said by null: whoever reads counts what could not be read.
    return null;
  }
  const parsed = Recording.safeParse(value);
  return parsed.success ? parsed.data : null;
}
