import assert from "node:assert/strict";
import { createHash, createHmac, generateKeyPairSync } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { exportJWK, exportSPKI, generateKeyPair, type GenerateKeyPairResult, SignJWT } from "jose";
import { ManualClock } from "../../runtime/clock.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { type HmacCall, type SignedRequest, verifyHmac } from "../../runtime/security/auth/hmac.ts";
import { type JwtResult, JwtVerifier } from "../../runtime/security/auth/jwt.ts";
import { Egress } from "../../runtime/security/egress.ts";

const clock = new ManualClock();
const nowS = Math.floor(clock.unixMs() / 1000);
const secret = "a secret that is long enough for HS256";
let base = "";
let keySet: { keys: object[] } = { keys: [] };
let keySetCalls = 0;
const issuer = http.createServer((_request, response) => {
  keySetCalls++;
  response.end(JSON.stringify(keySet));
});
let verifier: JwtVerifier;
before(async () => {
  await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
  verifier = new JwtVerifier(new Egress({ allow: [], private: [base], own: [], maxBodyBytes: 100_000, timeoutMs: 5000 }), clock);
});
after(() => {
  issuer.closeAllConnections();
  issuer.close();
});

function token(claims: Record<string, unknown> = {}, key: Parameters<SignJWT["sign"]>[0] = Buffer.from(secret), alg = "HS256", kid?: string): Promise<string> {
  return new SignJWT({ sub: "ada", iss: "me", aud: "shop", exp: nowS + 60, ...claims })
    .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) })
    .sign(key);
}
function verdict(result: JwtResult): string {
  return "claims" in result ? `yes ${result.claims.sub}` : result.reason;
}

describe("auth.jwt", () => {
  test("gives the claims of a token signed with the secret", async () => {
    assert.equal(verdict(await verifier.verify({ token: await token(), key: secret, issuer: "me", audience: "shop" })), "yes ada");
  });
  test("names why a token is refused", async () => {
    const key = secret;
    assert.equal(verdict(await verifier.verify({ token: "not.a-token", key })), "malformed");
    assert.equal(verdict(await verifier.verify({ token: `${await token()}=`, key })), "malformed");
    assert.equal(verdict(await verifier.verify({ token: await token(), key: "another secret, also long enough" })), "signature");
    assert.equal(verdict(await verifier.verify({ token: await token({ exp: nowS - 60 }), key })), "expired");
    assert.equal(verdict(await verifier.verify({ token: await token({ nbf: nowS + 60 }), key })), "not-yet-valid");
    assert.equal(verdict(await verifier.verify({ token: await token(), key, issuer: "you" })), "issuer");
    assert.equal(verdict(await verifier.verify({ token: await token(), key, audience: ["till", "store"] })), "audience");
    assert.equal(verdict(await verifier.verify({ token: await token(), key, algorithms: ["HS512"] })), "algorithm");
  });
  test("refuses a token without a signature (alg none)", async () => {
    const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${Buffer.from('{"sub":"ada"}').toString("base64url")}.`;
    assert.equal(verdict(await verifier.verify({ token: none, key: secret })), "malformed");
    assert.equal(verdict(await verifier.verify({ token: `${none}AA`, key: secret })), "algorithm");
  });
  test("refuses an HMAC made with the public key (algorithm confusion)", async () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
    assert.equal(verdict(await verifier.verify({ token: await token({}, Buffer.from(pem)), key: pem })), "algorithm");
  });
  for (const alg of ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"]) {
    test(`verifies ${alg} by PEM and by JWK`, async () => {
      const pair: GenerateKeyPairResult = await generateKeyPair(alg, { extractable: true });
      const signed = await token({}, pair.privateKey, alg);
      assert.equal(verdict(await verifier.verify({ token: signed, key: await exportSPKI(pair.publicKey) })), "yes ada");
      assert.equal(verdict(await verifier.verify({ token: signed, key: JSON.stringify(await exportJWK(pair.publicKey)) })), "yes ada");
    });
  }
  test("fetches a key set once, and again for a new key only after the cool-down", async () => {
    const first = await generateKeyPair("ES256", { extractable: true });
    keySet = { keys: [{ ...(await exportJWK(first.publicKey)), kid: "one", alg: "ES256" }] };
    const call = { jwksUrl: `${base}/keys` };
    assert.equal(verdict(await verifier.verify({ ...call, token: await token({}, first.privateKey, "ES256", "one") })), "yes ada");
    assert.equal(verdict(await verifier.verify({ ...call, token: await token({}, first.privateKey, "ES256", "one") })), "yes ada");
    for (let i = 0; i < 5; i++)
      assert.equal(verdict(await verifier.verify({ ...call, token: await token({}, first.privateKey, "ES256", `made-up-${i}`) })), "key");
    assert.equal(keySetCalls, 1);
  });
  test("says unavailable when the key set cannot be had, and refuses one that config does not allow", async () => {
    keySet = { nonsense: true } as never;
    assert.equal(
      verdict(await verifier.verify({ jwksUrl: `${base}/broken`, token: await token({}, (await generateKeyPair("ES256")).privateKey, "ES256", "x") })),
      "unavailable",
    );
    await assert.rejects(
      async () =>
        verifier.verify({ jwksUrl: "https://elsewhere.example/keys", token: await token({}, (await generateKeyPair("ES256")).privateKey, "ES256", "x") }),
      /not named in config/,
    );
  });
  test("rejects a key that cannot be read instead of calling the client wrong", async () => {
    await assert.rejects(
      async () => verifier.verify({ token: await token(), key: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----" }),
      /key cannot be used/,
    );
    await assert.rejects(async () => verifier.verify({ token: await token(), key: "" }), /empty key/);
  });
});

describe("auth.hmac", () => {
  const covered = ["@method", "@path", "@query", "x-amount"];
  function signed(
    change: { components?: string[]; created?: number; secret?: string; amount?: string; parameters?: string; body?: Buffer; target?: string } = {},
  ): SignedRequest {
    const components = change.components ?? covered;
    const fields = new Fields(["x-amount", "12"]);
    if (change.body) fields.append("content-digest", `sha-256=:${createHash("sha256").update(change.body).digest("base64")}:`);
    const text = `(${components.map((name) => `"${name}"`).join(" ")});created=${change.created ?? nowS};keyid="till-1"${change.parameters ?? ""}`;
    const values: Record<string, string> = {
      "@method": "POST",
      "@path": "/pay",
      "@query": "?a=1",
      "x-amount": change.amount ?? "12",
      "content-digest": fields.get("content-digest") ?? "",
    };
    const baseText = `${components.map((name) => `"${name}": ${values[name]}\n`).join("")}"@signature-params": ${text}`;
    fields.append("signature-input", `sig1=${text}`);
    fields.append(
      "signature",
      `sig1=:${createHmac("sha256", change.secret ?? "shared")
        .update(baseText)
        .digest("base64")}:`,
    );
    return { method: "POST", target: change.target ?? "/pay?a=1", authority: "shop.example", scheme: "https", fields };
  }
  const options: HmacCall = { secret: "shared", headers: ["X-Amount"], maxAge: 300 };
  async function outcome(request: SignedRequest, call = options, body = Buffer.alloc(0)): Promise<string> {
    const result = await verifyHmac(call, request, () => Promise.resolve(body), clock.unixMs());
    return "identity" in result ? `yes ${result.identity.keyId} ${result.identity.signedAt}` : result.reason;
  }
  test("tells who signed (RFC 9421, hmac-sha256)", async () => {
    assert.equal(await outcome(signed()), `yes till-1 ${nowS}`);
  });
  test("names why a signature is refused", async () => {
    assert.equal(await outcome({ ...signed(), fields: new Fields() }), "missing");
    assert.equal(await outcome(signed({ secret: "guessed" })), "signature");
    assert.equal(await outcome(signed({ amount: "1" })), "signature");
    assert.equal(await outcome(signed({ target: "/pay?a=2" })), "signature");
    assert.equal(await outcome(signed({ components: ["@method", "@path", "@query"] })), "denied");
    assert.equal(await outcome(signed({ components: ["@path", "@query", "x-amount"] })), "denied");
    assert.equal(await outcome(signed({ created: nowS - 301 })), "replayed");
    assert.equal(await outcome(signed({ created: nowS + 60 })), "not-yet-valid");
    assert.equal(await outcome(signed({ parameters: `;expires=${nowS - 1}` })), "expired");
    assert.equal(await outcome(signed({ parameters: ';alg="ed25519"' })), "algorithm");
    assert.equal(await outcome(signed({ parameters: ";created=1" })), "malformed");
    const twice = signed();
    twice.fields.append("signature-input", 'sig2=("@method");created=1');
    assert.equal(await outcome(twice), "malformed");
  });
  test("holds the body against a covered Content-Digest", async () => {
    const body = Buffer.from('{"amount":12}');
    const request = signed({ components: [...covered, "content-digest"], body });
    assert.equal(await outcome(request, options, body), `yes till-1 ${nowS}`);
    assert.equal(await outcome(request, options, Buffer.from('{"amount":1}')), "signature");
  });
});
