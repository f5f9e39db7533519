/** `ctx.auth`. What calls back into the rule (`basic`, `apiKey`) is done here; what needs keys, clocks or the network is the worker's. */
import type {
  ApiKeyOptions,
  AuthReason,
  BasicOptions,
  Claims,
  CredentialSource,
  ForwardAnswer,
  ForwardOptions,
  HmacIdentity,
  HmacOptions,
  JwtOptions,
} from "../../../sdk/index.ts";
import { utf8Bytes, utf8Text } from "./content.ts";
import { describe } from "./failure.ts";
import type { RequestFacade } from "./request.ts";
import type { RuleRun } from "./rule-run.ts";
import { atob } from "./web/base64.ts";
import { ask } from "./web/host.ts";

type Refused = { readonly reason: AuthReason };

/** RFC 7235 section 2.1: the scheme's case does not matter. */
const BASIC = /^basic +([A-Za-z0-9+/=_-]+) *$/i;
const BEARER = /^bearer +(\S+) *$/i;

export class RuleAuth {
  readonly #run: RuleRun;
  readonly #req: RequestFacade;
  #reason: AuthReason | null = null;
  #challenge = "";
  #refusal: ForwardAnswer | null = null;

  constructor(run: RuleRun, req: RequestFacade) {
    this.#run = run;
    this.#req = req;
  }

  get reason(): AuthReason | null {
    return this.#reason;
  }
  get challenge(): string {
    return this.#challenge;
  }
  get refusal(): ForwardAnswer | null {
    return this.#refusal;
  }

  async basic(options: BasicOptions): Promise<{ readonly user: string } | null> {
    const { realm = "restricted", users, verify } = expectOptions(options, "basic");
    this.#begin(`Basic realm="${quoted(realm)}", charset="UTF-8"`);
    if (users === undefined && typeof verify !== "function") throw new TypeError("ctx.auth.basic: users or verify is expected");
    const header = this.#req.headers.get("authorization");
    if (header === null) return this.#no("missing");
    const credentials = basicCredentials(header);
    if (credentials === null) return this.#no("malformed");
    const { user, password } = credentials;
    // Rules in plain JavaScript give anything; only true is a yes.
    const right: unknown = users === undefined ? await verify(user, password) : passwordFits(users, user, password);
    return right === true ? Object.freeze({ user }) : this.#no("denied");
  }

  async apiKey<Identity>(options: ApiKeyOptions<Identity>): Promise<Identity | null> {
    const { from, verify } = expectOptions(options, "apiKey");
    this.#begin("");
    if (typeof verify !== "function") throw new TypeError("ctx.auth.apiKey: verify: a function is expected");
    const key = this.#credential(from, "apiKey");
    if (key === null || key === "") return this.#no("missing");
    const identity = await verify(key);
    return identity === null || identity === undefined || identity === false ? this.#no("denied") : identity;
  }

  async jwt(options: JwtOptions): Promise<Claims | null> {
    const { from, key, jwksUrl, issuer, audience, algorithms } = expectOptions(options, "jwt");
    this.#begin("Bearer");
    const token = this.#token(from);
    if (token === null) return this.#no("missing");
    const result = (await this.#run.service("jwt", { token, key, jwksUrl, issuer, audience, algorithms })) as { claims: Claims } | Refused;
    if ("claims" in result) return { ...result.claims, sub: typeof result.claims.sub === "string" ? result.claims.sub : "" };
    this.#challenge = 'Bearer error="invalid_token"';
    return this.#no(result.reason);
  }

  async hmac(options: HmacOptions): Promise<HmacIdentity | null> {
    const { secret, headers, maxAge } = expectOptions(options, "hmac");
    this.#begin("");
    const result = (await this.#run.service("hmac", { secret, headers, maxAge })) as { identity: HmacIdentity } | Refused;
    return "identity" in result ? result.identity : this.#no(result.reason);
  }

  async forward(options: ForwardOptions): Promise<ForwardAnswer | null> {
    const { url, copyRequestHeaders, copyResponseHeaders } = expectOptions(options, "forward");
    this.#begin("");
    const result = (await this.#run.service("forward", { url: String(url), copyRequestHeaders, copyResponseHeaders })) as
      | { answer: ForwardAnswer; setHeaders: readonly (readonly [string, string])[] }
      | (Refused & { refusal: ForwardAnswer | null });
    // What the service leaves out, or does not say at all, a client must not say in its place.
    for (const name of copyResponseHeaders ?? []) this.#req.headers.delete(name);
    if ("answer" in result) {
      for (const [name, value] of result.setHeaders) this.#req.headers.set(name, value);
      return result.answer;
    }
    this.#refusal = result.refusal;
    return this.#no(result.reason);
  }

  #begin(challenge: string): void {
    this.#reason = null;
    this.#refusal = null;
    this.#challenge = challenge;
  }
  #no(reason: AuthReason): null {
    this.#reason = reason;
    return null;
  }
  #token(from: CredentialSource | undefined): string | null {
    const text = from === undefined ? this.#req.headers.get("authorization") : this.#credential(from, "jwt");
    if (text === null) return null;
    const bearer = BEARER.exec(text);
    if (bearer !== null) return bearer[1]!;
    // A cookie or query parameter holds the bare token; Authorization with another scheme holds none.
    return from === undefined ? null : text;
  }
  #credential(from: CredentialSource, where: string): string | null {
    const source = from as { header?: unknown; cookie?: unknown; query?: unknown } | undefined;
    if (typeof source?.header === "string") return this.#req.headers.get(source.header);
    if (typeof source?.cookie === "string") return this.#req.cookie(source.cookie);
    if (typeof source?.query === "string") return this.#req.query.get(source.query);
    throw new TypeError(`ctx.auth.${where}: from: { header }, { cookie } or { query } is expected, found ${describe(from)}`);
  }
}

function expectOptions<T>(options: T, where: string): T {
  if (typeof options !== "object" || options === null) throw new TypeError(`ctx.auth.${where}: options are expected, found ${describe(options)}`);
  return options;
}

function basicCredentials(header: string): { user: string; password: string } | null {
  const match = BASIC.exec(header);
  if (match === null) return null;
  let text: string;
  try {
    text = utf8Text(atob(match[1]!));
  } catch {
    return null;
  }
  const colon = text.indexOf(":");
  return colon < 0 ? null : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function passwordFits(users: Readonly<Record<string, string>>, user: string, password: string): boolean {
  const known = Object.hasOwn(users, user);
  const expected = known ? users[user] : "";
  if (typeof expected !== "string") throw new TypeError(`ctx.auth.basic: users: a password is expected, found ${describe(expected)}`);
  // The comparison happens for unknown users too, so that time does not tell names.
  return sameSecret(expected, password) && known && expected !== "";
}

/** Compares digests, so that neither content nor length shows in the time it takes. */
function sameSecret(a: string, b: string): boolean {
  const left = ask("digest", "SHA-256", utf8Bytes(a));
  const right = ask("digest", "SHA-256", utf8Bytes(b));
  let difference = left.length ^ right.length;
  for (let i = 0; i < left.length; i++) difference |= left.charCodeAt(i) ^ right.charCodeAt(i);
  return difference === 0;
}

function quoted(text: unknown): string {
  return String(text)
    .replace(/[^\x20-\x7e]/g, "?")
    .replace(/["\\]/g, "\\$&");
}
