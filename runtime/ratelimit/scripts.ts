/** What the embedded store's process must know of this room. */
import { HOLD } from "./in-flight.ts";
import { TAKE } from "./take.ts";

export const RATELIMIT_SCRIPTS = [TAKE, HOLD] as const;
