/** Plain JavaScript that isolated-vm's own limits do not stop: what ends it is the sandbox being a process of its own. */
import { testAttacks } from "./hostile-attacks.ts";
import { NO_GUARD_INSIDE } from "./hostile-list.ts";

await testAttacks(NO_GUARD_INSIDE, 1, { silenceMs: 500 });
