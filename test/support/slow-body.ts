import { GatewayError } from "../../runtime/errors.ts";
import type { BodySink, BodySource } from "../../runtime/proxy/exchange.ts";

/** A body that a test sends piece by piece. */
export class SlowBody implements BodySource {
  readonly length: number;
  sink: BodySink | null = null;
  cancelled = false;
  paused = false;
  constructor(length = -1) {
    this.length = length;
  }
  read(sink: BodySink): void {
    this.sink = sink;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  cancel(): void {
    this.cancelled = true;
  }
  send(text: string): boolean {
    return this.sink!.chunk(Buffer.from(text));
  }
  end(): void {
    this.sink!.end(null);
  }
  tear(): void {
    this.sink!.error(new GatewayError("UPSTREAM_RESET", "torn on purpose"));
  }
}
