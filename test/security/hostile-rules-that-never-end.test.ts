import { testAttacks } from "./hostile-attacks.ts";
import { NEVER_END } from "./hostile-list.ts";

await testAttacks(NEVER_END, 2);
