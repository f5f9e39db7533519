/**
 * The life of a request, from top to bottom. Each step is one call through a room's front door; a phase that no rule
 * uses costs one comparison.
 *
 *   accept → head → match → admit → onRequest → cache lookup
 *     └ miss → onOriginRequest → upstream → onOriginResponse → cache admit
 *   → onResponse → edits → compress → reply → complete;   any step that fails → onError → error page
 *
 * Fronts have done accept and head. Compression has its seat here and comes later.
 */
import { asGatewayError, GatewayError } from "../errors.ts";
import type { Phase } from "../compile/release.ts";
import type { Admission, RouteLimits } from "../ratelimit/ratelimit.ts";
import type { HookOutcome } from "../sandbox/sandbox.ts";
import type { Core } from "./core.ts";
import { askCache } from "./cached.ts";
import { bodyOf, type Exchange, NO_BODY, type UpstreamResponse } from "./exchange.ts";
import { changeRequest, settleResponse } from "./experiments/experiments.ts";
import { addForwarded, addVia } from "./forwarded.ts";
import { dropOwnCookies, type GatewayInputs, takeInputs } from "./gateway-inputs.ts";
import { type HookTable, paramsOf, type PhaseHooks } from "./hook-plan.ts";
import { makeHtmlEdits } from "./html-edits.ts";
import { Life } from "./life.ts";
import { markPreview, previewed } from "./previewed.ts";
import { deliver, fromError, fromRule, fromUpstream, type GatewayResponse } from "./reply.ts";
import { tunnel } from "./tunnel.ts";

/** Takes an exchange from a front and sees it through. Never throws, never rejects. */
export function handle(exchange: Exchange, core: Core): void {
  const inputs = takeInputs(exchange.fields);
  if (inputs.preview === "") begin(exchange, core, inputs, null, null);
  else previewed(exchange, core, inputs, begin);
}

/** `table`: the release that it asked for; `refusal`: why it does not get it. */
function begin(exchange: Exchange, core: Core, inputs: GatewayInputs, table: HookTable | null, refusal: GatewayError | null): void {
  const life = new Life(exchange, core, null, inputs, table);
  life.error = refusal;
  life.table.enter();
  core.inFlight++;
  exchange.onClientGone = () => life.onClientGone();
  exchange.onComplete = (sentBytes, completed) => complete(life, sentBytes, completed);
  live(life).catch((thrown: unknown) => breakOff(life, thrown));
}

async function live(life: Life): Promise<void> {
  const { exchange, core, plan } = life;
  let response = life.error !== null ? failed(life, life.error) : core.problemPage === null ? null : core.problemPage(exchange, life.inputs);

  const { limits } = life.table.routing;
  if (response === null && limits !== null) {
    const admission = admit(life, limits);
    response = admitted(life, admission instanceof Promise ? await admission : admission);
  }
  if (life.witness !== null) life.witness.seen = response === null;
  if (response === null && life.experiments !== null) {
    const asking = life.experiments.prepare();
    if (asking !== null) await asking;
  }
  if (response === null && plan.onRequest !== null) {
    const outcome = runHooks(life, "onRequest", plan.onRequest, "");
    response = answerOf(life, outcome instanceof Promise ? await outcome : outcome);
  }
  if (response === null && life.experiments !== null) response = changeRequest(life.experiments);
  if (response === null && life.witness !== null) life.witness.enters();
  if (response === null) response = await (core.cache === null ? fetchAnswer(life) : askThroughCache(life));
  life.response = response;
  if (life.witness !== null) life.witness.delivers(response);
  if (life.admission !== null) life.admission.mark(response.fields);

  if (plan.onResponse !== null) {
    const outcome = runHooks(life, "onResponse", plan.onResponse, "");
    response = changed(life, outcome instanceof Promise ? await outcome : outcome);
    if (life.htmlEdits !== null) response = await edited(life, response, life.htmlEdits);
  }
  life.throwIfGone();
  if (life.witness !== null) life.witness.decided(response);
  if (life.experiments !== null) {
    const settled = settleResponse(life.experiments, response);
    response = life.response = settled instanceof Promise ? await settled : settled;
    life.throwIfGone();
  }

  response.fields.set("x-request-id", life.id);
  response.fields.set("sluice-release", life.table.releaseId);
  if (life.canary !== null) life.canary.answer(response.fields, core.clock.now() - exchange.startedAtMs);
  if (life.inputs.preview !== "") markPreview(life.inputs, life.error, life.client.scheme, response.fields);
  if (life.trace !== null) life.trace.answer?.(response.fields);
  if (response.tunnel !== null) openTunnel(life, response);
  else deliver(exchange, response, (error) => (life.error = error));
}

/** Charges the limits of the route that the client asked for, before any rule is entered. */
function admit(life: Life, limits: RouteLimits): Admission | Promise<Admission> | null {
  const asked = life.matchable();
  life.route = life.table.routing.matcher.first(asked);
  return limits.admit(life.route, life.client.address, asked);
}

/** Null: come in. */
function admitted(life: Life, admission: Admission | null): GatewayResponse | null {
  if (admission === null) return null;
  life.admission = admission;
  if (admission.release !== null) life.whenOver(admission.release);
  life.throwIfGone();
  return admission.error === null ? null : failed(life, admission.error);
}

function askThroughCache(life: Life): GatewayResponse | Promise<GatewayResponse> {
  const asked = askCache(life, fetchAnswer);
  if (!(asked instanceof Promise)) return asked;
  return asked.catch((thrown: unknown) => {
    life.throwIfGone();
    return failed(life, asGatewayError(thrown));
  });
}

/** Behind the cache. */
function fetchAnswer(life: Life): Promise<GatewayResponse> {
  return life.plan.changesOrigin ? askOrigin(life) : callOrigin(life);
}

/**
 * Everything between the cache and the origin when no rule has a hook there. Promises are handed on, not awaited and made anew: each layer of
 * `async` costs 0.3 µs and garbage.
 */
function callOrigin(life: Life): Promise<GatewayResponse> {
  return sendUpstream(life).then(
    (answer) => answered(life, answer),
    (thrown: unknown) => {
      life.throwIfGone();
      return failed(life, asGatewayError(thrown));
    },
  );
}

/** The same with hooks. Always ends in a response, if need be one that tells of an error. */
async function askOrigin(life: Life): Promise<GatewayResponse> {
  const { plan } = life;
  let tries = 1;
  for (;;) {
    try {
      if (plan.onOriginRequest !== null) {
        expectUpstream(life);
        if (life.witness !== null) life.witness.leaves(life);
        const answer = answerOf(life, await runHooks(life, "onOriginRequest", plan.onOriginRequest, ""));
        if (answer !== null) return answer;
      }
      life.response = await callUpstream(life);
      if (plan.onOriginResponse === null) return life.response;
      return changed(life, await runHooks(life, "onOriginResponse", plan.onOriginResponse, ""));
    } catch (thrown) {
      life.throwIfGone();
      const error = asGatewayError(thrown);
      if (life.witness !== null) life.witness.failed(error);
      // Asked again when the other upstream failed too: for an answer, not for a third one.
      const mayRetry = tries++ === 1 && life.requestCanBeSentAgain;
      const again = plan.onError === null ? null : await runErrorHooks(life, plan.onError, error, mayRetry);
      if (again === "retry") continue;
      if (again === null) return failed(life, error);
      // A rule's page hides the failure from the client, not from log and metrics.
      life.error ??= error;
      return again;
    }
  }
}

/** Finds the route unless a rule has picked an upstream. Throws when there is none. */
function expectUpstream(life: Life): void {
  const { core } = life;
  if (life.upstream === "") life.upstream = route(life);
  if (!core.upstreams.has(life.upstream))
    throw new GatewayError("UPSTREAM_UNKNOWN", `found "${life.upstream}", expected one of ${Object.keys(core.config.upstreams).join(", ")}`);
}

function route(life: Life): string {
  const { matcher, routes } = life.table.routing;
  if (matcher.always >= 0) return routes[(life.route = matcher.always)]!.upstream;
  // Limits have looked already, and without a hook nothing has changed since.
  const index = life.route >= 0 && life.plan.onRequest === null ? life.route : matcher.first(life.matchable());
  if (index < 0) throw new GatewayError("NO_ROUTE", `no route for ${life.request.authority}${life.request.target}`);
  life.route = index;
  return routes[index]!.upstream;
}

function callUpstream(life: Life): Promise<GatewayResponse> {
  return sendUpstream(life).then((answer) => answered(life, answer));
}

function sendUpstream(life: Life): Promise<UpstreamResponse> {
  const { exchange, core, request } = life;
  try {
    expectUpstream(life);
  } catch (thrown) {
    return Promise.reject(asGatewayError(thrown));
  }
  if (life.witness !== null) life.witness.sends(life);
  const fields = request.fields.clone();
  addForwarded(fields, life.client, exchange.connection.remoteAddress, exchange.authority, exchange.version, life.id);
  return core.upstreams.send(
    life.upstream,
    {
      method: request.method,
      target: request.target,
      authority: request.authority,
      fields,
      body: life.takeRequestBody(),
      upgradeProtocol: exchange.upgradeProtocol,
      pinnedTarget: life.pinnedTarget,
      onInformational: (status, informational) => exchange.informational(status, informational),
    },
    life,
  );
}

function answered(life: Life, answer: UpstreamResponse): GatewayResponse {
  life.upstreamMs = answer.firstByteMs;
  life.upstreamTarget = answer.target;
  if (life.gone) {
    answer.body.cancel();
    answer.tunnel?.destroy();
    life.throwIfGone();
  }
  addVia(answer.fields, "1.1");
  if (answer.fields.has("set-cookie")) keepOwnCookies(life, answer);
  const response = fromUpstream(answer, life.core.keepHeaders);
  if (life.witness !== null) life.witness.answered(response);
  return response;
}

/** Cookies of the gateway are its own to set: told once of each upstream that tries. */
function keepOwnCookies({ core, upstream }: Life, { fields }: UpstreamResponse): void {
  const cookie = dropOwnCookies(fields);
  if (cookie !== "") core.noteOnce("origin-cookie-refused", upstream, { upstream, cookie });
}

/** What came of hooks before the origin: a response when a rule answered or failed closed, else null. */
function answerOf(life: Life, outcome: HookOutcome): GatewayResponse | null {
  if (outcome.rule !== "") life.rule = outcome.rule;
  life.throwIfGone();
  if (life.witness !== null) life.witness.asked(outcome);
  if (outcome.failure !== null) return failed(life, outcome.failure);
  if (outcome.upstream !== "") life.upstream = outcome.upstream;
  if (outcome.pinnedTarget !== "") life.pinnedTarget = outcome.pinnedTarget;
  if (outcome.body !== null) life.replaceRequestBody(outcome.body);
  return outcome.answer === null ? null : fromRule(outcome.answer);
}

/** What came of hooks behind the origin: `life.response`, which they have changed, or another in its place. */
function changed(life: Life, outcome: HookOutcome): GatewayResponse {
  const response = life.response!;
  const { failure, answer, body } = outcome;
  if (outcome.rule !== "") life.rule = outcome.rule;
  if (life.witness !== null) life.witness.changed(response, outcome);
  if (failure !== null || answer !== null) {
    response.body.cancel();
    response.tunnel?.destroy();
    return (life.response = failure !== null ? failed(life, failure) : fromRule(answer!));
  }
  if (body !== null) {
    response.body.cancel();
    // What a GET would get was never here, so its length is not known (RFC 9110 section 8.6 lets it be left out, not be wrong).
    const toHead = life.exchange.method === "HEAD";
    response.body = toHead ? NO_BODY : bodyOf(body);
    response.declaredLength = toHead ? -1 : body.length;
    // They describe the bytes that were: coding, digest, validator, ranges.
    for (const name of ["content-encoding", "content-md5", "content-digest", "repr-digest", "etag", "accept-ranges"]) response.fields.delete(name);
  }
  return response;
}

async function edited(life: Life, response: GatewayResponse, edits: readonly string[]): Promise<GatewayResponse> {
  const refusal = await makeHtmlEdits(response, edits, life.elementPorts);
  if (refusal === null) return response;
  response.body.cancel();
  return (life.response = failed(life, refusal));
}

/** What rules make of an error: another answer, another upstream ("retry"), or nothing. */
async function runErrorHooks(life: Life, hooks: PhaseHooks, error: GatewayError, mayRetry: boolean): Promise<GatewayResponse | "retry" | null> {
  const facts = { code: error.code, status: error.status, message: error.detail };
  const outcome = await runHooks(life, "onError", hooks, `,"error":${JSON.stringify(facts)}`);
  if (outcome.rule !== "") life.rule = outcome.rule;
  life.throwIfGone();
  if (life.witness !== null) life.witness.asked(outcome);
  if (outcome.failure !== null) return failed(life, outcome.failure);
  if (outcome.answer !== null) return fromRule(outcome.answer);
  if (!mayRetry || outcome.upstream === "" || outcome.upstream === life.upstream) return null;
  life.upstream = outcome.upstream;
  life.pinnedTarget = "";
  return "retry";
}

/**
 * Known from before, or run in the sandbox: then by a promise. `facts`: further members of `HookExtra` as JSON, each with its comma in front.
 */
function runHooks(life: Life, phase: Phase, hooks: PhaseHooks, facts: string): HookOutcome | Promise<HookOutcome> {
  const sandbox = life.core.sandbox!;
  const response = phase === "onError" ? null : life.response;
  const run = {
    release: life.table.loaded!,
    phase,
    rules: hooks.rules,
    params: paramsOf(hooks, life.match),
    request: life.request,
    response,
    extra: "",
    exchange: life,
  };
  const recalled = sandbox.recall(run);
  if (recalled !== null) return recalled;
  const upstream = life.upstream === "" ? "" : `,"upstream":${life.core.quotedUpstream(life.upstream)}`;
  const variants = life.experiments !== null && life.plan.asksExperiments !== null ? life.experiments.extraText(life.plan.asksExperiments) : "";
  run.extra = life.extraText(`${upstream}${variants}${response === null ? "" : `,"from":"${response.from}"`}${facts}`);
  return sandbox.run(run);
}

function failed(life: Life, error: GatewayError): GatewayResponse {
  life.error = error;
  if (life.witness !== null) life.witness.failed(error);
  return fromError(error, life.id, life.exchange.fields.get("accept"));
}

function openTunnel(life: Life, response: GatewayResponse): void {
  const client = life.exchange.upgrade(response.fields);
  life.cancelUpstream = null;
  tunnel(client, response.tunnel!, {
    idleTimeoutMs: life.core.config.limits.tunnelIdleMs,
    clock: life.core.clock,
    onEnd: (_up, down) => complete(life, down, true),
  });
}

/** The last resort: a defect of ours, or a client that left. */
function breakOff(life: Life, thrown: unknown): void {
  const error = asGatewayError(thrown);
  life.error ??= error;
  life.response?.body.cancel();
  life.response?.tunnel?.destroy();
  if (!life.gone) life.exchange.abort(error);
  else complete(life, 0, false);
}

function complete(life: Life, sentBytes: number, completed: boolean): void {
  if (!life.finish()) return;
  const { core, plan } = life;
  core.inFlight--;
  const status = life.gone && life.response === null ? 499 : (life.response?.status ?? 499);
  const record = life.record(status, sentBytes, completed);
  core.observer.exchange(record);
  if (life.canary !== null) core.choice?.measure.over(life.canary, record);
  if (life.witness !== null) life.witness.over();
  if (plan.onComplete === null) {
    life.table.leave();
    return;
  }
  const facts = { status, durationMs: record.durationMs, sentBytes, completed };
  Promise.resolve(runHooks(life, "onComplete", plan.onComplete, `,"complete":${JSON.stringify(facts)}`))
    .catch((thrown: unknown) => core.observer.defect(asGatewayError(thrown)))
    .finally(() => life.table.leave());
}
