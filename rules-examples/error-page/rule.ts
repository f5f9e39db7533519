import { defineRule, respond } from "sluice";

declare module "sluice" {
  interface Vars {
    /** Name of the upstream that stands in when another can't answer: a static copy of the shop, say. None when left out. */
    readonly standby?: string;
  }
}

interface Attempt {
  standbyAsked: true;
}

/** Ways an upstream can fail to answer. What remains is the request's fault, or a rule's, and would fail elsewhere too. */
const AWAY = ["NO_TARGET", "UPSTREAM_CONNECT_FAILED", "UPSTREAM_CONNECT_TIMEOUT", "UPSTREAM_TIMEOUT", "UPSTREAM_RESET"];
const ASK_AGAIN_S = 15;

export default defineRule<Attempt>({
  // A copy can be read. It can't take an order: whoever posts must hear that nothing was done.
  when: { method: ["GET", "HEAD"] },
  // Should this rule fail, the gateway's own page is still there.
  onFailure: "open",
  onError(error, req, ctx) {
    const { standby } = ctx.vars;
    if (standby !== undefined && standby !== req.upstream && ctx.state.standbyAsked === undefined && AWAY.includes(error.code)) {
      ctx.state.standbyAsked = true;
      ctx.log.warn(`${req.upstream}: ${error.code}, asking ${standby}`);
      ctx.metric("standby_asked", 1, { code: error.code });
      req.upstream = standby;
      return;
    }
    // Programs are served better by the gateway's own answer.
    if (!req.headers.get("accept")?.includes("text/html")) return;
    return respond(error.status, page(error.status, req.id), {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      ...(error.status >= 500 && { "retry-after": String(ASK_AGAIN_S) }),
    });
  },
  onResponse(res, req, ctx) {
    if (ctx.state.standbyAsked === undefined || req.upstream !== ctx.vars.standby) return;
    // A page from the copy must be gone when the shop is back.
    res.headers.set("cache-control", "no-store");
  },
});

/** The id is the gateway's, or one of a trusted proxy in the same plain alphabet: nothing here needs escaping. */
function page(status: number, id: string): string {
  const [title, text] =
    status === 404
      ? ["There is nothing here", "Perhaps an old link. The shelves are still where they were."]
      : ["The kiln has gone out", "It is not you, it is us. We are lighting it again."];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>${title}</title>
<style>body{font:18px/1.6 Georgia,serif;max-width:34rem;margin:20vh auto;padding:0 1.5rem;color:#33302b;background:#f7f3ec}h1{font-size:2rem}code{font-size:.8em}</style>
<h1>${title}</h1>
<p>${text}</p>
<p><a href="">Try again</a> or go <a href="/">to the front of the shop</a>.</p>
<p>When you write to us, please add <code>${id}</code>.</p>
</html>
`;
}
