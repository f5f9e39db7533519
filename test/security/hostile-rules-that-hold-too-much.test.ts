import { testAttacks } from "./hostile-attacks.ts";

const EITHER = ["RULE_CPU", "RULE_MEMORY"] as const;

await testAttacks(
  {
    "an array without bound, past isolated-vm's own limit": { rule: `const all = []; for (;;) all.push(new Array(1000).fill(1))`, codes: EITHER },
    "a string without bound": {
      rule: `let all = "x"; for (;;) { all += all; if (all.charCodeAt(all.length >> 1) === 0) return }`,
      codes: EITHER,
      quarantine: false,
    },
    "new Array(2**31).fill(0)": { rule: `new Array(2 ** 31).fill(0)`, codes: [...EITHER, "RULE_THREW"], quarantine: false },
    "Array(1e9).fill(0)": { rule: `Array(1e9).fill(0)`, codes: EITHER, quarantine: false },
    "a match of 2**28 characters": { rule: `"a".repeat(1 << 28).match(/a/g).length`, codes: EITHER, quarantine: false },
    "a split of 2**28 characters": { rule: `("x".repeat(2 ** 28) + "y").split("")`, codes: EITHER, quarantine: false },
    "five million brackets as JSON": { rule: `JSON.parse("[".repeat(5e6) + "]".repeat(5e6))`, codes: EITHER, quarantine: false },
  },
  1,
  { silenceMs: 500 },
);
