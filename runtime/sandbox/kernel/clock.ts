/** Every built-in that tells the time reads the hook's clock, which stands still within a hook; so a re-run sees the same time. The zone is UTC. */

type AnyFunction = (...args: never[]) => unknown;

/** Wall time for the meter, taken before `installClock` replaces it. */
export function wallClock(): () => number {
  return Date.now;
}

export function installClock(global: typeof globalThis, nowMs: () => number): void {
  installDate(global, nowMs);
  installIntl(nowMs);
  if (typeof Temporal !== "undefined") installTemporal(nowMs);
}

function installDate(global: typeof globalThis, nowMs: () => number): void {
  const Original = Date;
  // A function and not a class: `Date()` without `new` gives text.
  const Replaced = function Date(this: unknown, ...args: unknown[]): unknown {
    if (new.target === undefined) return new Original(nowMs()).toString();
    return Reflect.construct(Original, args.length === 0 ? [nowMs()] : args, new.target);
  };
  for (const name of ["parse", "UTC"] as const) define(Replaced, name, Original[name]);
  define(
    Replaced,
    "now",
    named("now", () => nowMs()),
  );
  Object.defineProperty(Replaced, "length", { value: 7, configurable: true });
  Object.defineProperty(Replaced, "prototype", { value: Original.prototype, writable: false, enumerable: false, configurable: false });
  define(Original.prototype, "constructor", Replaced);
  define(global, "Date", Replaced);
}

function installIntl(nowMs: () => number): void {
  const { prototype } = Intl.DateTimeFormat;
  const getFormat = Reflect.get(Object.getOwnPropertyDescriptor(prototype, "format")!, "get") as AnyFunction;
  const bound = new WeakMap<object, AnyFunction>();
  Object.defineProperty(prototype, "format", {
    get(this: object) {
      const format = Reflect.apply(getFormat, this, []) as (date: unknown) => string;
      let own = bound.get(this);
      if (own === undefined) {
        own = (date?: unknown) => format(date === undefined ? nowMs() : date);
        bound.set(this, own);
      }
      return own;
    },
    enumerable: false,
    configurable: true,
  });
  const formatToParts = Reflect.get(prototype, "formatToParts") as AnyFunction;
  define(
    prototype,
    "formatToParts",
    named("formatToParts", function (this: Intl.DateTimeFormat, date?: Date | number) {
      return Reflect.apply(formatToParts, this, [date === undefined ? nowMs() : date]);
    }),
  );
}

function installTemporal(nowMs: () => number): void {
  const now = Temporal.Now as unknown as Record<string, unknown>;
  const instant = (): Temporal.Instant => Temporal.Instant.fromEpochMilliseconds(nowMs());
  const zoned = (zone?: unknown): Temporal.ZonedDateTime => instant().toZonedDateTimeISO((zone ?? "UTC") as string);
  const replaced: Record<string, AnyFunction> = {
    instant: () => instant(),
    timeZoneId: () => "UTC",
    zonedDateTimeISO: (zone?: unknown) => zoned(zone),
    plainDateTimeISO: (zone?: unknown) => zoned(zone).toPlainDateTime(),
    plainDateISO: (zone?: unknown) => zoned(zone).toPlainDate(),
    plainTimeISO: (zone?: unknown) => zoned(zone).toPlainTime(),
  };
  // Whatever else a later V8 puts there would tell the real time.
  for (const name of Object.getOwnPropertyNames(now)) {
    if (replaced[name] === undefined) delete now[name];
    else define(now, name, named(name, replaced[name]));
  }
}

/** A method: shorthand functions are no constructors, as built-ins are none. */
function named<F extends AnyFunction>(name: string, run: F): F {
  Object.defineProperty(run, "name", { value: name, configurable: true });
  return run;
}

function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
}
