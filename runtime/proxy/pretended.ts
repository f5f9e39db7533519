/** A request that came from nowhere, and whose answer goes there: what `sluice explain` and rehearsals hand to the life of a request. */
import { type BodySource, type ConnectionFacts, type Exchange, type HttpVersion, NO_BODY } from "./exchange.ts";
import { Fields } from "./fields.ts";

export interface PretendedRequest {
  readonly method: string;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly target: string;
  readonly fields: readonly string[];
  readonly peer: string;
}

export class Pretended implements Exchange {
  readonly connection: ConnectionFacts;
  readonly version: HttpVersion = "1.1";
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly fields: Fields;
  readonly upgradeProtocol = "";
  readonly body: BodySource;
  readonly startedAtMs: number;
  onClientGone: (() => void) | null = null;
  onComplete: ((sentBodyBytes: number, completed: boolean) => void) | null = null;
  readonly out: Exchange["out"];
  readonly #onHead: (fields: readonly string[]) => void;

  constructor(request: PretendedRequest, nowMs: number, onHead: (fields: readonly string[]) => void, body: BodySource = NO_BODY) {
    this.#onHead = onHead;
    this.connection = { id: "pretended", remoteAddress: request.peer, remotePort: 0, localAddress: "127.0.0.1", localPort: 0, scheme: request.scheme };
    this.method = request.method;
    this.target = request.target;
    this.authority = request.authority;
    this.fields = new Fields([...request.fields]);
    this.body = body;
    this.startedAtMs = nowMs;
    let sentBytes = 0;
    this.out = {
      onDrain: null,
      chunk: (bytes) => {
        sentBytes += bytes.length;
        return true;
      },
      end: () => this.onComplete?.(sentBytes, true),
      error: () => this.onComplete?.(sentBytes, false),
    };
  }
  informational(): void {}
  head(_status: number, fields: Fields): void {
    this.#onHead([...fields.list]);
  }
  reply(): void {}
  upgrade(): never {
    throw new TypeError("nothing upgrades here");
  }
  abort(): void {
    this.onComplete?.(0, false);
  }
}
