/** Event and EventTarget (DOM Standard section 2), without a tree: one target, no capture, no bubbling. */
import { DOMException } from "./dom-exception.ts";

const setTarget = Symbol("setTarget");
const stopped = Symbol("stopped");
const passive = Symbol("passive");

export interface EventInit {
  readonly bubbles?: boolean;
  readonly cancelable?: boolean;
  readonly composed?: boolean;
}

export class Event {
  static readonly NONE = 0;
  static readonly CAPTURING_PHASE = 1;
  static readonly AT_TARGET = 2;
  static readonly BUBBLING_PHASE = 3;
  readonly type: string;
  readonly bubbles: boolean;
  readonly cancelable: boolean;
  readonly composed: boolean;
  readonly isTrusted = false;
  readonly timeStamp = 0;
  #target: EventTarget | null = null;
  #dispatching = false;
  #stopped = false;
  #prevented = false;
  [passive] = false;

  constructor(type: string, init: EventInit = {}) {
    if (arguments.length === 0) throw new TypeError("Event: a type is expected");
    this.type = String(type);
    this.bubbles = Boolean(init?.bubbles);
    this.cancelable = Boolean(init?.cancelable);
    this.composed = Boolean(init?.composed);
  }
  get target(): EventTarget | null {
    return this.#target;
  }
  get srcElement(): EventTarget | null {
    return this.#target;
  }
  get currentTarget(): EventTarget | null {
    return this.#dispatching ? this.#target : null;
  }
  get eventPhase(): number {
    return this.#dispatching ? Event.AT_TARGET : Event.NONE;
  }
  get defaultPrevented(): boolean {
    return this.#prevented;
  }
  get returnValue(): boolean {
    return !this.#prevented;
  }
  get cancelBubble(): boolean {
    return false;
  }
  composedPath(): EventTarget[] {
    return this.#dispatching && this.#target !== null ? [this.#target] : [];
  }
  preventDefault(): void {
    if (this.cancelable && !this[passive]) this.#prevented = true;
  }
  /** There is nothing above the target to reach. */
  stopPropagation(): void {}
  stopImmediatePropagation(): void {
    this.#stopped = true;
  }
  get [stopped](): boolean {
    return this.#stopped;
  }
  [setTarget](target: EventTarget, dispatching: boolean): boolean {
    if (dispatching && this.#dispatching) return false;
    this.#target = target;
    this.#dispatching = dispatching;
    if (!dispatching) this.#stopped = false;
    return true;
  }
  get [Symbol.toStringTag](): string {
    return "Event";
  }
}

export class CustomEvent extends Event {
  readonly detail: unknown;
  constructor(type: string, init: EventInit & { readonly detail?: unknown } = {}) {
    super(type, init);
    this.detail = init?.detail ?? null;
  }
  override get [Symbol.toStringTag](): string {
    return "CustomEvent";
  }
}

export type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

export interface ListenerOptions {
  readonly capture?: boolean;
  readonly once?: boolean;
  readonly passive?: boolean;
  readonly signal?: EventTarget & { readonly aborted: boolean };
}

interface Registration {
  readonly type: string;
  readonly listener: Listener;
  readonly capture: boolean;
  readonly once: boolean;
  readonly passive: boolean;
  removed: boolean;
}

export class EventTarget {
  #registrations: Registration[] = [];

  addEventListener(type: string, listener: Listener | null, options: boolean | ListenerOptions = {}): void {
    if (listener === null || listener === undefined) return;
    if (typeof listener !== "function" && typeof listener !== "object") throw new TypeError("addEventListener: a function or an object is expected");
    const { capture = false, once = false, passive: isPassive = false, signal } = typeof options === "boolean" ? { capture: options } : (options ?? {});
    if (signal?.aborted === true) return;
    if (this.#find(String(type), listener, Boolean(capture)) !== undefined) return;
    const registration: Registration = {
      type: String(type),
      listener,
      capture: Boolean(capture),
      once: Boolean(once),
      passive: Boolean(isPassive),
      removed: false,
    };
    this.#registrations.push(registration);
    signal?.addEventListener("abort", () => this.#remove(registration), { once: true });
  }

  removeEventListener(type: string, listener: Listener | null, options: boolean | { readonly capture?: boolean } = {}): void {
    if (listener === null || listener === undefined) return;
    const registration = this.#find(String(type), listener, Boolean(typeof options === "boolean" ? options : options?.capture));
    if (registration !== undefined) this.#remove(registration);
  }

  dispatchEvent(event: Event): boolean {
    if (!(event instanceof Event)) throw new TypeError("dispatchEvent: an Event is expected");
    if (!event[setTarget](this, true)) throw new DOMException("dispatchEvent: the event is being dispatched already", "InvalidStateError");
    for (const registration of [...this.#registrations]) {
      if (registration.type !== event.type || registration.removed) continue;
      if (registration.once) this.#remove(registration);
      event[passive] = registration.passive;
      this.#call(registration.listener, event);
      event[passive] = false;
      if (event[stopped]) break;
    }
    event[setTarget](this, false);
    return !event.defaultPrevented;
  }

  /** A listener that throws stops neither the others nor the dispatch; the gateway reports it like a rejection that nobody awaited. */
  #call(listener: Listener, event: Event): void {
    try {
      if (typeof listener === "function") Reflect.apply(listener, this, [event]);
      else listener.handleEvent(event);
    } catch (thrown) {
      void Promise.reject(thrown);
    }
  }
  #find(type: string, listener: Listener, capture: boolean): Registration | undefined {
    return this.#registrations.find((one) => one.type === type && one.listener === listener && one.capture === capture);
  }
  #remove(registration: Registration): void {
    registration.removed = true;
    this.#registrations = this.#registrations.filter((one) => one !== registration);
  }
  get [Symbol.toStringTag](): string {
    return "EventTarget";
  }
}
