/** Plain JavaScript that isolated-vm's own limits do not stop: what ends it is the sandbox being a process of its own. */
import { testAttacks } from "./hostile-attacks.ts";

// Which of them comes first depends on the machine.
const EITHER = ["RULE_CPU", "RULE_MEMORY"] as const;

await testAttacks(
  {
    "big-integer growth": { rule: `let b = 2n; for (;;) b *= b`, codes: EITHER },
    "String.raw of a billion": { rule: `String.raw({ raw: { length: 1e9 } })`, codes: EITHER, quarantine: false },
    "a big integer as text": { rule: `(1n << 25000000n).toString()`, codes: EITHER, quarantine: false },
    "a sparse reverse": { rule: `const sparse = []; sparse[2 ** 32 - 2] = 1; sparse.reverse()`, codes: EITHER, quarantine: false },
  },
  1,
  { silenceMs: 500 },
);
