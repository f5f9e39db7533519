/** What `sluice tail` shows and asks for: plain data on its way from workers to whoever reads. Holds no header and no body; query values are digests. */

/** Every condition must hold; an empty one always does. */
export interface TailFilter {
  /** A rule's name, with or without its ending. */
  readonly rule: string;
  /** Ranges, both ends included. */
  readonly statuses: readonly (readonly [from: number, to: number])[];
  /** Of the path as the client sent it; `*` stands for anything. */
  readonly path: string;
  /** In capitals. */
  readonly methods: readonly string[];
  /** Only what failed. */
  readonly errors: boolean;
  /** One exchange, by its id: also what a debug header had kept of it (`tail-memory.ts`). */
  readonly trace: string;
  /** Ordinary lines a second of each worker; the rest is counted. Errors always come. null: as many as there are. */
  readonly perSecond: number | null;
}

interface OfExchange {
  readonly atMs: number;
  readonly worker: number;
  /** Request id. */
  readonly id: string;
}

export type TailEvent =
  | (OfExchange & {
      readonly type: "exchange";
      readonly failed: boolean;
      readonly client: string;
      readonly method: string;
      readonly host: string;
      readonly path: string;
      readonly status: number;
      readonly code: string;
      readonly detail: string;
      readonly from: string;
      readonly route: number;
      readonly upstream: string;
      readonly target: string;
      readonly release: string;
      /** It runs beside the one that serves; "": it is the one. */
      readonly beside: "" | "canary" | "preview";
      readonly rule: string;
      /** `experiment=variant …`, or "". */
      readonly variants: string;
      readonly durationMs: number;
      readonly upstreamMs: number;
      readonly sentBytes: number;
    })
  /** `console` and `ctx.log`. */
  | (OfExchange & {
      readonly type: "log";
      readonly rule: string;
      readonly release: string;
      readonly level: "debug" | "info" | "warn" | "error";
      readonly text: string;
    })
  /** What a rule threw, or how it was stopped; the stack names TypeScript lines. */
  | (OfExchange & {
      readonly type: "exception";
      readonly rule: string;
      readonly release: string;
      readonly phase: string;
      readonly outcome: string;
      readonly kind: string;
      readonly message: string;
      readonly stack: string;
    })
  /** One step of an exchange with a debug header. */
  | (OfExchange & { readonly type: "step"; readonly rule: string; readonly phase: string; readonly text: string; readonly place: string })
  | {
      readonly type: "sandbox";
      readonly atMs: number;
      readonly worker: number;
      readonly event: string;
      readonly by: string;
      readonly reason: string;
      readonly rule: string;
    }
  | { readonly type: "refused" | "defect"; readonly atMs: number; readonly worker: number; readonly code: string; readonly detail: string };

/** What one worker sends at once. Lines are `TailEvent`s as JSON. */
export interface TailBatch {
  readonly tail: number;
  readonly lines: readonly string[];
  /** Dropped since that was last told, because there were more than the reader asked for, or than it takes. */
  readonly droppedLines: number;
  /** … and of those that are kept longest: errors. */
  readonly droppedErrors: number;
}
