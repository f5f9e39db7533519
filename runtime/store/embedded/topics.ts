/** Topics of the embedded store: the last messages of each, numbered, so that a pipe that broke goes on where it was. */
import { randomBytes } from "node:crypto";
import { GatewayError } from "../../errors.ts";

interface Topic {
  /** Numbers run without gaps; the last of `messages` has `last`. */
  last: number;
  messages: string[];
  units: number;
}

const MAX_TOPICS = 1000;
const KEPT_MESSAGES = 1000;
const KEPT_UNITS = 1024 * 1024;

export class Topics {
  /** Another one after each start: numbers of an earlier life mean nothing. */
  readonly epoch = randomBytes(8).toString("hex");
  readonly #topics = new Map<string, Topic>();

  /** The message's number. */
  publish(name: string, message: string): number {
    if (message.length > KEPT_UNITS) throw new GatewayError("STORE_REFUSED", `a message of ${message.length} characters, at most ${KEPT_UNITS} are allowed`);
    const topic = this.#topic(name);
    topic.messages.push(message);
    topic.units += message.length;
    while (topic.messages.length > KEPT_MESSAGES || topic.units > KEPT_UNITS) topic.units -= topic.messages.shift()!.length;
    return ++topic.last;
  }

  /** What a subscriber that saw `after` last (in `epoch`) still has to see. A first subscription (epoch "") begins with what comes next. */
  resume(name: string, epoch: string, after: number): { readonly after: number; readonly missed: readonly string[]; readonly gap: boolean } {
    const { last, messages } = this.#topic(name);
    if (epoch === "") return { after: last, missed: [], gap: false };
    const oldest = last - messages.length;
    if (epoch !== this.epoch || after > last || after < oldest) return { after: last, missed: [], gap: true };
    return { after, missed: messages.slice(after - oldest), gap: false };
  }

  #topic(name: string): Topic {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    if (this.#topics.size >= MAX_TOPICS) throw new GatewayError("STORE_FULL", `${MAX_TOPICS} topics`);
    const topic: Topic = { last: 0, messages: [], units: 0 };
    this.#topics.set(name, topic);
    return topic;
  }
}
