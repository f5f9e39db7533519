/** What every contender is asked to do. */

export interface Work {
  readonly name: string;
  readonly title: string;
  /** "request": hash the User-Agent into a variant, tell it to the origin in X-Variant, take X-Debug out, rewrite the path. "both": X-Variant into the response and X-Trace-Id out of it, too. */
  readonly hooks: "none" | "request" | "both";
  /** Rules in force, each for a path of its own; one of them matches. */
  readonly rules: number;
  readonly bodyBytes: number;
  readonly accessLog: boolean;
  readonly connections: readonly number[];
  /** No two requests are alike in path or User-Agent: for what servers remember of requests. */
  readonly distinct?: boolean;
}

const SMALL_BYTES = 930;
const LARGE_BYTES = 2 ** 20;
const SMALL = { bodyBytes: SMALL_BYTES, accessLog: false, connections: [1, 50, 1000] } as const;
const LARGE = { ...SMALL, bodyBytes: LARGE_BYTES } as const;

export const WORKS: readonly Work[] = [
  { name: "plain", title: "plain proxying", hooks: "none", rules: 0, ...SMALL },
  { name: "request-hook", title: "a request hook", hooks: "request", rules: 1, ...SMALL },
  { name: "both-hooks", title: "request and response hooks", hooks: "both", rules: 1, ...SMALL },
  {
    name: "both-hooks-distinct",
    title: "request and response hooks, no two requests alike",
    hooks: "both",
    rules: 1,
    ...SMALL,
    connections: [50],
    distinct: true,
  },
  { name: "ten-rules", title: "ten rules, one matches", hooks: "both", rules: 10, ...SMALL },
  { name: "ten-thousand-rules", title: "ten thousand rules, one matches", hooks: "both", rules: 10_000, ...SMALL },
  { name: "plain-1mib", title: "plain proxying, 1 MiB bodies", hooks: "none", rules: 0, ...LARGE },
  { name: "both-hooks-1mib", title: "request and response hooks, 1 MiB bodies", hooks: "both", rules: 1, ...LARGE },
  { name: "plain-logged", title: "plain proxying, access log on", hooks: "none", rules: 0, ...SMALL, accessLog: true, connections: [50] },
  { name: "both-hooks-logged", title: "request and response hooks, access log on", hooks: "both", rules: 1, ...SMALL, accessLog: true, connections: [50] },
];

/** In under two minutes: what a change to the hot path moves first. */
export const QUICK: readonly Work[] = WORKS.flatMap((work) => {
  const connections = { plain: [50], "both-hooks": [1, 50], "both-hooks-distinct": [50], "ten-rules": [50] }[work.name];
  return connections ? [{ ...work, connections }] : [];
});

/** Paths that the rules are for, each rewritten to /new/. */
export function prefixes(work: Work): string[] {
  return work.rules === 1 ? ["/old/"] : Array.from({ length: work.rules }, (_, i) => `/section-${i}/`);
}

const MATCHING_SHARE = 0.7;

/** The path that is asked for: the one rule for it stands neither first nor last. */
export function pathOf(work: Work, page: string): string {
  const all = prefixes(work);
  return `${all[Math.floor(all.length * MATCHING_SHARE)] ?? "/"}${page}`;
}

/** FNV-1a, 32 bits, as all contenders count it whose language can express it. */
export function variantOf(text: string): "a" | "b" {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return (hash >>> 0) % 100 < 50 ? "a" : "b";
}
