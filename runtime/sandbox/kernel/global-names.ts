/**
 * What modules add to the global object while they are evaluated. Packages do (a registry, a shim), and a context may be shared: whoever
 * planted a `process` or a `Buffer` there would be handed the data of every package that looks whether there is one.
 */
import { describe } from "./failure.ts";

const MAX_TOLD = 20;

export class GlobalNames {
  readonly #names: ReadonlySet<PropertyKey>;
  readonly #prototype: object | null;

  /** As they are now. */
  constructor() {
    this.#names = new Set(Reflect.ownKeys(globalThis));
    this.#prototype = Object.getPrototypeOf(globalThis) as object | null;
  }

  /** Names that were added since. */
  added(): string[] {
    const added = Reflect.ownKeys(globalThis).filter((key) => !this.#names.has(key));
    const names = added.slice(0, MAX_TOLD).map(String);
    return Object.getPrototypeOf(globalThis) === this.#prototype ? names : [...names, "its prototype"];
  }

  /** Removes them. Throws when one was made to stay. */
  takeBack(): void {
    for (const key of Reflect.ownKeys(globalThis)) {
      if (!this.#names.has(key) && !Reflect.deleteProperty(globalThis, key))
        throw new TypeError(`the global ${describe(key)} is defined so that it cannot be removed`);
    }
    if (!Reflect.setPrototypeOf(globalThis, this.#prototype)) throw new TypeError("the global object's prototype was changed for ever");
  }
}
