/** The story of an experiment: who decided what, when and why. Kept beside its counts, on every gateway the same. */
import { z } from "zod";
import type { Store } from "../../store/store.ts";
import { NOTE } from "./scripts/scripts.ts";

const Line = z.strictObject({
  atUnixMs: z.number(),
  version: z.number(),
  what: z.enum(["stopped", "started", "shipped", "doubted"]),
  /** Name of a token, "guardrail" or "watch". */
  by: z.string(),
  why: z.string(),
});
export type StoryLine = z.infer<typeof Line>;

const MOST_LINES = 100;

const storyKey = (experiment: string): string => `experiments:{${experiment}}:story`;

export async function tell(store: Store, experiment: string, line: StoryLine): Promise<void> {
  await store.run(NOTE, [storyKey(experiment)], [JSON.stringify(line), MOST_LINES]);
}

export async function readStory(store: Store, experiment: string): Promise<readonly StoryLine[]> {
  const lines = await store.run(NOTE, [storyKey(experiment)], ["", MOST_LINES]);
  return lines.flatMap((line) => parsed(String(line)) ?? []);
}

function parsed(text: string): StoryLine | null {
  try {
    return Line.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    // Of another version.
    return null;
  }
}
