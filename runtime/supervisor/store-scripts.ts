/** The scripts of all services, as the embedded store's process knows them. A service adds its own list here. */
import { RATELIMIT_SCRIPTS } from "../ratelimit/scripts.ts";
import type { StoreScript } from "../store/script.ts";

export const STORE_SCRIPTS: readonly StoreScript[] = [...RATELIMIT_SCRIPTS];
