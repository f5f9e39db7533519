/** The scripts of all services, as the embedded store's process knows them. A service adds its own list here. */
import { CACHE_SCRIPTS } from "../cache/scripts/scripts.ts";
import { CONTROL_SCRIPTS } from "../control/scripts/scripts.ts";
import { COUNT_SCRIPTS } from "../experiments/count/scripts/scripts.ts";
import { SET_LIVE } from "../experiments/live/scripts.ts";
import { STUDY_SCRIPTS } from "../experiments/study/scripts/scripts.ts";
import { RECORDING_SCRIPTS } from "../observe/recordings/scripts.ts";
import { RATELIMIT_SCRIPTS } from "../ratelimit/scripts.ts";
import { KV_SCRIPTS } from "../store/kv/scripts.ts";
import { COMMON_SCRIPTS } from "../store/scripts/scripts.ts";
import type { StoreScript } from "../store/script.ts";

export const STORE_SCRIPTS: readonly StoreScript[] = [
  ...COMMON_SCRIPTS,
  ...KV_SCRIPTS,
  ...RATELIMIT_SCRIPTS,
  ...CACHE_SCRIPTS,
  ...CONTROL_SCRIPTS,
  ...RECORDING_SCRIPTS,
  SET_LIVE,
  ...COUNT_SCRIPTS,
  ...STUDY_SCRIPTS,
];
