/** Endpoints that ask something which is not always there: a desk that opens when the gateway has started, over a store that may be away. */
import { GatewayError } from "../errors.ts";
import { type Answer, type Asked, failure } from "./answers.ts";
import { PackageError } from "./release-package.ts";

/** `desk` null: `away` says what was found instead, and where there is one. */
export function atDesk<Desk>(
  desk: () => Desk | null,
  away: { readonly found: string; readonly expected: string } = TAKES_NO_RELEASES,
): <A extends Answer>(run: (asked: Asked, desk: Desk) => Promise<A>) => (asked: Asked) => Promise<Answer> {
  return (run) => async (asked) => {
    const open = desk();
    if (open === null) return failure(503, { code: "NOT_READY", ...away });
    try {
      return await run(asked, open);
    } catch (thrown) {
      if (thrown instanceof PackageError)
        return failure(422, { code: "RELEASE_REFUSED", found: thrown.message, expected: "a release as sluice deploy makes it" });
      if (thrown instanceof GatewayError) return failure(503, { code: "STORE_AWAY", found: thrown.message, expected: "a store that answers" });
      throw thrown;
    }
  };
}

const TAKES_NO_RELEASES = { found: "a gateway that takes no releases, or not yet", expected: "one that was started with sluice start" };
