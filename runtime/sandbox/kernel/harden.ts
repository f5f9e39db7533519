/**
 * What user code must not have or change. Runs after the kernel and the web classes are installed, before any rule is evaluated.
 *
 * Plain freezing breaks programs: a frozen `Error.prototype.name` makes `this.name = "E"` in a subclass throw (the "override mistake" of
 * ECMA-262, OrdinarySetWithOwnDescriptor). So properties that derived objects really override become accessors whose setter defines the
 * property on the derived object. The rest is frozen as it is, because V8 inlines calls of data properties only (`"".charCodeAt`, `[].push`).
 */

const REMOVED = ["WebAssembly", "SharedArrayBuffer", "Atomics", "WeakRef", "FinalizationRegistry", "ShadowRealm"];
/** On every prototype. */
const OVERRIDABLE: ReadonlySet<string> = new Set(["constructor", "toString", "toLocaleString", "valueOf", "toJSON", "name", "message"]);

/** Nothing derives from these but wrappers that nobody makes, and with accessors every call of a string's method got slower (1.4 µs a hook). */
const OF_PRIMITIVES: ReadonlySet<object> = new Set([String.prototype, Number.prototype, Boolean.prototype, Symbol.prototype, BigInt.prototype]);

export function removeGlobals(global: typeof globalThis): void {
  for (const name of REMOVED) Reflect.deleteProperty(global, name);
}

/** `RegExp.$1`, `RegExp.input` and the like tell what the last expression of anybody's matched: another rule's, another visitor's, the kernel's. */
export function removeLastMatch(): void {
  for (const key of Reflect.ownKeys(RegExp)) {
    if (typeof key === "string" && "get" in Object.getOwnPropertyDescriptor(RegExp, key)!) Reflect.deleteProperty(RegExp, key);
  }
}

/** No code from strings: `eval` and the constructors of all four kinds of functions. V8's own switch cannot be reached from here. */
export function forbidCodeFromStrings(global: typeof globalThis): void {
  const refuse = (name: string): never => {
    throw new EvalError(`${name}: code cannot be made from strings here`);
  };
  const functionPrototypes: [string, object][] = [
    ["Function", Function.prototype],
    ["AsyncFunction", Object.getPrototypeOf(async function () {}) as object],
    ["GeneratorFunction", Object.getPrototypeOf(function* () {}) as object],
    ["AsyncGeneratorFunction", Object.getPrototypeOf(async function* () {}) as object],
  ];
  for (const [name, prototype] of functionPrototypes) {
    const replaced = {
      [name]: function () {
        return refuse(name);
      },
    }[name]!;
    // `x instanceof Function` goes on working.
    Object.defineProperty(replaced, "prototype", { value: prototype, writable: false, enumerable: false, configurable: false });
    Object.defineProperty(prototype, "constructor", { value: replaced, writable: true, enumerable: false, configurable: true });
    if (name === "Function") Object.defineProperty(global, "Function", { value: replaced, writable: true, enumerable: false, configurable: true });
  }
  Object.defineProperty(global, "eval", {
    value: Object.freeze({ eval: (): never => refuse("eval") }.eval),
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

/** Stacks as objects lead to functions and receivers of other code; as text they may stay. */
export function neutralizeStackHooks(): void {
  Object.defineProperty(Error, "prepareStackTrace", { get: () => undefined, set: () => {}, enumerable: false, configurable: false });
  Error.stackTraceLimit = 20;
}

/** A rule may lower it for itself; each hook begins with the kernel's. */
export function resetStackTraceLimit(): void {
  if (Error.stackTraceLimit !== 20) Error.stackTraceLimit = 20;
}

/** Freezes everything reachable from the globals that exist now. */
export function freezeBuiltIns(global: typeof globalThis): void {
  for (const key of Reflect.ownKeys(global)) {
    const descriptor = Object.getOwnPropertyDescriptor(global, key)!;
    for (const part of partsOf(descriptor)) freezeDeep(part);
    if (key === "globalThis" || !descriptor.configurable) continue;
    if ("value" in descriptor) lockGlobal(global, key, descriptor.value);
    else Object.defineProperty(global, key, { configurable: false });
  }
  for (const hidden of hiddenIntrinsics()) freezeDeep(hidden);
  // What stands there is a global to everybody.
  freezeDeep(Object.getPrototypeOf(global));
}

/** Not reachable by name from the global object. */
function hiddenIntrinsics(): object[] {
  const prototypeOf = (value: object): object => Object.getPrototypeOf(value) as object;
  return [
    prototypeOf(async function () {}),
    prototypeOf(function* () {}),
    prototypeOf(async function* () {}),
    prototypeOf([][Symbol.iterator]()),
    prototypeOf(new Map()[Symbol.iterator]()),
    prototypeOf(new Set()[Symbol.iterator]()),
    prototypeOf(""[Symbol.iterator]()),
    prototypeOf("".matchAll(/x/g)),
    prototypeOf(Iterator.from({ next: () => ({ done: true, value: undefined }) })),
    prototypeOf(prototypeOf((function* () {})())),
    prototypeOf(prototypeOf((async function* () {})())),
    prototypeOf(Array.prototype.values().map((value) => value)),
    prototypeOf(new Intl.Segmenter().segment("")),
    prototypeOf(new Intl.Segmenter().segment("")[Symbol.iterator]()),
  ];
}

/** An assignment to a locked global throws in strict code and is ignored in sloppy code, as for `undefined`. */
function lockGlobal(global: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(global, key, { value, writable: false, configurable: false });
}

const frozen = new WeakSet<object>();

/** Freezes `root` and all that can be reached from it. No recursion: the web classes nest deeply. */
export function freezeDeep(root: unknown): void {
  const queue: object[] = [];
  const visit = (value: unknown): void => {
    if ((typeof value !== "object" && typeof value !== "function") || value === null || frozen.has(value) || value === globalThis) return;
    frozen.add(value);
    queue.push(value);
  };
  visit(root);
  for (let value = queue.pop(); value !== undefined; value = queue.pop()) {
    visit(Object.getPrototypeOf(value));
    const keys = Reflect.ownKeys(value);
    // Nearly all are methods, with a length and a name and nothing else to visit.
    if (typeof value === "function" && keys.length === 2 && keys[1] === "name") {
      Object.freeze(value);
      continue;
    }
    for (const key of keys) {
      for (const part of partsOf(Object.getOwnPropertyDescriptor(value, key)!)) visit(part);
    }
    freezeOne(value, keys);
  }
}

function partsOf(descriptor: PropertyDescriptor): readonly unknown[] {
  const { value, get, set } = descriptor as Readonly<Record<string, unknown>>;
  return get === undefined && set === undefined ? [value] : [get, set];
}

function freezeOne(value: object, keys: readonly PropertyKey[]): void {
  if (value === Error) {
    freezeErrorConstructor();
    return;
  }
  if (isPrototypeObject(value) && !OF_PRIMITIVES.has(value)) {
    const all = value === Object.prototype || value === Function.prototype || value === Error.prototype;
    for (const key of keys) {
      if (typeof key !== "string" || (!all && !OVERRIDABLE.has(key))) continue;
      const descriptor = Object.getOwnPropertyDescriptor(value, key)!;
      if ("value" in descriptor && descriptor.configurable === true && descriptor.writable === true)
        overridable(value, key, descriptor.value, descriptor.enumerable === true);
    }
  }
  // In one go: property by property V8 turns prototypes into dictionaries, and every call of a built-in gets slower (3 µs a hook).
  Object.freeze(value);
}

/** All but `stackTraceLimit`, which V8 reads as a data property and packages assign. */
function freezeErrorConstructor(): void {
  for (const key of Reflect.ownKeys(Error)) {
    const isData = "value" in Object.getOwnPropertyDescriptor(Error, key)!;
    Object.defineProperty(Error, key, isData && key !== "stackTraceLimit" ? { writable: false, configurable: false } : { configurable: false });
  }
  Object.preventExtensions(Error);
}

function isPrototypeObject(value: object): boolean {
  const constructor = Object.getOwnPropertyDescriptor(value, "constructor")?.value as { prototype?: unknown } | undefined;
  return typeof constructor === "function" && constructor.prototype === value;
}

/** Reads as before; an assignment on a derived object makes it an own property there, on the holder itself it throws. */
function overridable(holder: object, key: string, value: unknown, enumerable: boolean): void {
  // Methods have no prototype of their own, and so nothing more to freeze.
  const accessor: Readonly<Record<"get" | "set", unknown>> = {
    get(): unknown {
      return value;
    },
    set(this: unknown, next: unknown): void {
      if (this === holder) throw new TypeError(`Cannot assign to read only property '${key}' of a built-in`);
      if ((typeof this !== "object" && typeof this !== "function") || this === null) throw new TypeError(`Cannot create property '${key}' on a primitive`);
      Object.defineProperty(this, key, { value: next, writable: true, enumerable: true, configurable: true });
    },
  };
  Object.defineProperty(holder, key, { ...(accessor as PropertyDescriptor), enumerable, configurable: true });
  Object.freeze(accessor.get);
  Object.freeze(accessor.set);
}
