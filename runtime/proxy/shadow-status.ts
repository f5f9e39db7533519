/** What a shadow release has come to so far: plain data on its way from workers to whoever reads. Pure. */

export interface ShadowExample {
  readonly kind: "different" | "failed";
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly rule: string;
  readonly place: string;
  /** What differs; values of headers, targets and bodies are not shown. */
  readonly what: readonly string[];
}

export interface ShadowStatus {
  readonly tag: string;
  readonly release: string;
  /** What it is compared with; "" before the first exchange. */
  readonly against: string;
  readonly share: number;
  /** equal + different + failed */
  readonly compared: number;
  readonly equal: number;
  readonly different: number;
  /** A hook of the shadow release failed. */
  readonly failed: number;
  /** It made a call that must not be made, so that nobody knows what would have followed. */
  readonly notCompared: number;
  /** There was no time for it. */
  readonly dropped: number;
  /** Differences and failures by kind. */
  readonly kinds: readonly { readonly kind: string; readonly exchanges: number }[];
  readonly examples: readonly ShadowExample[];
}

const MAX_EXAMPLES = 5;

/** Of several workers, or gateways. Null: there is none. */
export function addedUp(all: readonly ShadowStatus[]): ShadowStatus | null {
  const [first] = all;
  if (first === undefined) return null;
  const sum = (name: "compared" | "equal" | "different" | "failed" | "notCompared" | "dropped"): number => all.reduce((total, one) => total + one[name], 0);
  const kinds = new Map<string, number>();
  for (const { kind, exchanges } of all.flatMap((one) => one.kinds)) kinds.set(kind, (kinds.get(kind) ?? 0) + exchanges);
  const examples = [...new Map(all.flatMap((one) => one.examples).map((example) => [JSON.stringify(example), example])).values()];
  return {
    tag: first.tag,
    release: first.release,
    against: all.find(({ against }) => against !== "")?.against ?? "",
    share: first.share,
    compared: sum("compared"),
    equal: sum("equal"),
    different: sum("different"),
    failed: sum("failed"),
    notCompared: sum("notCompared"),
    dropped: sum("dropped"),
    kinds: [...kinds].sort(([, a], [, b]) => b - a).map(([kind, exchanges]) => ({ kind, exchanges })),
    examples: (["failed", "different"] as const).flatMap((wanted) => examples.filter(({ kind }) => kind === wanted).slice(0, MAX_EXAMPLES)),
  };
}

/** Equal for the same call. */
export function replyText(service: string, args: unknown): string {
  return `${service} ${JSON.stringify(args)}`;
}
