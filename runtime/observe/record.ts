/** What is known of one exchange when it is over: the source of access log, metrics and tail. */
export interface ExchangeRecord {
  readonly id: string;
  /** Unix time of the head's last byte, ms. */
  readonly startMs: number;
  readonly clientAddress: string;
  readonly scheme: "http" | "https";
  readonly httpVersion: string;
  readonly method: string;
  readonly host: string;
  /** As the client sent it. */
  readonly target: string;
  readonly status: number;
  /** Gateway error code, or "". */
  readonly code: string;
  /** The error's detail for the operator, or "". */
  readonly detail: string;
  readonly from: "upstream" | "cache" | "rule" | "gateway";
  readonly route: number;
  readonly upstream: string;
  readonly upstreamTarget: string;
  readonly release: string;
  /** The release runs beside the one that serves. Left out or "": it serves. */
  readonly beside?: "" | "canary" | "preview";
  /** Rule that answered or failed, or "". */
  readonly rule: string;
  /** What the visitor was exposed to: `experiment=variant …`, bounded. Left out: nothing. */
  readonly variants?: string;
  readonly durationMs: number;
  readonly upstreamMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly completed: boolean;
  readonly userAgent: string;
}
