import { testAttacks } from "./hostile-attacks.ts";
import { HOLD_TOO_MUCH } from "./hostile-list.ts";

await testAttacks(HOLD_TOO_MUCH, 1, { silenceMs: 500 });
