/** Where one worker accepts connections: all of its listeners, from when it is told to until it drains. */
import type { Core } from "./core.ts";
import type { createHttp1Front } from "./http1/front.ts";
import { listen, type ListenAt, type Listener } from "./listener.ts";

export class Doors {
  readonly #open: () => Listener[];
  #listeners: readonly Listener[] = [];

  constructor({ config, observer }: Core, front: ReturnType<typeof createHttp1Front>, places: readonly ListenAt[]) {
    this.#open = () => places.map((place) => listen(place, front, { limits: config.limits, onRefused: (error, facts) => observer.refused(error, facts) }));
  }

  /** Unless it has. */
  async accept(): Promise<void> {
    if (this.#listeners.length > 0) return;
    this.#listeners = this.#open();
    await Promise.all(this.#listeners.map((listener) => listener.ready));
  }

  stopAccepting(): void {
    for (const listener of this.#listeners) listener.stopAccepting();
  }

  get accepted(): number {
    return this.#listeners.reduce((sum, listener) => sum + listener.accepted, 0);
  }
  get addresses(): readonly { readonly host: string; readonly port: number }[] {
    return this.#listeners.map(({ host, port }) => ({ host, port }));
  }
}
