/**
 * A request that proves that a release serves: it comes in by the listener like any other, and while one is expected the worker answers it itself,
 * where problem pages are answered, so that no origin is asked. The field `Sluice-Release` of the answer says what it ran on.
 */
import type { Core } from "../proxy/core.ts";
import { bodyOf } from "../proxy/exchange.ts";
import { Fields } from "../proxy/fields.ts";

const BODY = Buffer.from("here\n");

/** The path cannot be guessed. `sluice dev` probes nothing, so that nobody else wants this place. */
export function expectProbe(core: Core, path: string | null): void {
  core.problemPage =
    path === null
      ? null
      : (exchange) =>
          exchange.target === path
            ? {
                status: 200,
                fields: new Fields(["content-type", "text/plain; charset=utf-8", "cache-control", "no-store"]),
                body: bodyOf(BODY),
                declaredLength: BODY.length,
                from: "gateway",
                error: null,
                tunnel: null,
              }
            : null;
}
