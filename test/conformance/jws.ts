/**
 * The Wycheproof cases for JSON Web Signatures against the verifier behind `ctx.auth.jwt`. A case whose payload is no JSON
 * object can never be a token; its signature is judged all the same, by the reason that the verifier gives.
 */
import { systemClock } from "../../runtime/clock.ts";
import { isCompact, JwtVerifier } from "../../runtime/security/auth/jwt.ts";
import { Egress } from "../../runtime/security/egress.ts";
import { outsideData } from "./data.ts";

interface Group {
  readonly comment: string;
  readonly private?: Record<string, unknown>;
  readonly public?: Record<string, unknown>;
  readonly tests: readonly { tcId: number; comment: string; jws: string; result: "valid" | "invalid"; flags: string[] }[];
}

const ES521 = 'the JWK says alg "ES521", which RFC 7518 does not register (P-521 is ES512)';
const PS_MISMATCH = "the JWK says PS256, the token PS384: a key is believed for its own algorithm only (RFC 8725 section 3.1)";
const NOT_BASE64URL = "a character outside base64url stands in the token (RFC 7515 section 2); the data lets decoders skip it";
const LOST_PADDING = "the case is about padding, yet the token in the data has none: it is letter for letter a valid one";

/** Where our verdict differs from the data's, and why. */
const LISTED: Readonly<Record<number, string>> = {
  346: PS_MISMATCH,
  347: ES521,
  350: PS_MISMATCH,
  351: ES521,
  367: LOST_PADDING,
  370: LOST_PADDING,
  372: NOT_BASE64URL,
  373: NOT_BASE64URL,
};

const { testGroups } = outsideData("jws-wycheproof.json") as { testGroups: Group[] };
const verifier = new JwtVerifier(new Egress({ allow: [], private: [], own: [], maxBodyBytes: 1, timeoutMs: 1 }), systemClock);

let passed = 0;
let failed = 0;
let listed = 0;
for (const group of testGroups) {
  const jwk = group.public ?? group.private!;
  for (const test of group.tests) {
    let verdict: string;
    try {
      const result = await verifier.verify({ token: test.jws, key: JSON.stringify(jwk) });
      // "malformed" behind a good signature: the payload is no JSON object.
      verdict =
        "claims" in result ? "valid" : result.reason === "malformed" && isCompact(test.jws) && (await signatureHolds(test.jws, jwk)) ? "valid" : "invalid";
    } catch (error) {
      verdict = `invalid (${(error as Error).message})`;
    }
    if (verdict.startsWith(test.result)) passed++;
    else if (LISTED[test.tcId] !== undefined) {
      listed++;
      console.log(`listed: case ${test.tcId} (${group.comment}): ${LISTED[test.tcId]}`);
    } else {
      failed++;
      console.log(
        `FAILED case ${test.tcId} (${group.comment}, ${test.comment}; ${JSON.stringify(jwk["alg"])} ${test.flags.join(" ")}): expected ${test.result}, found ${verdict}`,
      );
    }
  }
}
console.log(`jws: ${listed} differ with a reason\n${passed + listed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** The same library without the look at the claims. */
async function signatureHolds(jws: string, jwk: Record<string, unknown>): Promise<boolean> {
  const { compactVerify, importJWK } = await import("jose");
  const alg = (jwk["alg"] as string | undefined) ?? (JSON.parse(Buffer.from(jws.split(".")[0]!, "base64url").toString()) as { alg: string }).alg;
  return compactVerify(jws, await importJWK(jwk, alg), { algorithms: [alg] }).then(
    () => true,
    () => false,
  );
}
