/** `text`, `json`, `bytes`, `arrayBuffer` of `req` and `res`. */
import { utf8Text } from "./content.ts";
import type { RuleRun } from "./rule-run.ts";
import { latin1ToBytes } from "./web/bytes.ts";

/** Where a body is kept once some rule of the call has read it. */
export interface BodyHolder {
  body: Promise<string> | null;
}

export abstract class BodyReader {
  readonly #run: RuleRun;
  readonly #service: "requestBody" | "responseBody";
  readonly #holder: BodyHolder;

  constructor(run: RuleRun, service: "requestBody" | "responseBody", holder: BodyHolder) {
    this.#run = run;
    this.#service = service;
    this.#holder = holder;
  }

  async text(): Promise<string> {
    return utf8Text(await this.#bytes());
  }
  async json(): Promise<unknown> {
    return JSON.parse(utf8Text(await this.#bytes()));
  }
  async bytes(): Promise<Uint8Array> {
    return latin1ToBytes(await this.#bytes());
  }
  async arrayBuffer(): Promise<ArrayBuffer> {
    return latin1ToBytes(await this.#bytes()).buffer;
  }

  #bytes(): Promise<string> {
    // A failed read is not kept: the next one says for itself why.
    return (this.#holder.body ??= this.#run.service(this.#service, {}).then(
      (result) => (result as { bytes: string }).bytes,
      (thrown: unknown) => {
        this.#holder.body = null;
        throw thrown;
      },
    ));
  }
}
