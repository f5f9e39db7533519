import { createHash, createHmac } from "node:crypto";
import { expect, gateway, test } from "sluice/testing";

const KEY = "shared with whoever sends the webhooks";
const gw = await gateway({
  rules: "./rule.ts",
  secrets: { webhookKey: KEY },
  upstreams: { shop: ({ headers, body }) => `${headers.get("x-webhook-sender") ?? "nobody"} sent ${body}` },
});

const TARGET = "/webhooks/payments?shop=7";
const BODY = '{"order":"M-20417","state":"paid"}';
const COVERED = ["@method", "@path", "@query", "content-type", "content-digest"];
const nowS = (): number => Math.floor(Date.now() / 1000);
const digest = (body: string): string => `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;

/** What a sender does: RFC 9421 section 3.1, RFC 9530 section 2. */
function signed({ key = KEY, covered = COVERED, created = nowS(), target = TARGET, body = BODY, parameters = ';keyid="payments"' } = {}): Record<
  string,
  string
> {
  const [path = "", query = ""] = target.split("?");
  const values: Record<string, string> = {
    "@method": "POST",
    "@path": path,
    "@query": `?${query}`,
    "@authority": "localhost",
    "content-type": "application/json",
    "content-digest": digest(body),
  };
  const input = `(${covered.map((name) => `"${name}"`).join(" ")});created=${created}${parameters}`;
  const base = [...covered.map((name) => `"${name}": ${values[name]}`), `"@signature-params": ${input}`].join("\n");
  return {
    "content-type": "application/json",
    "content-digest": digest(body),
    "signature-input": `sig=${input}`,
    signature: `sig=:${createHmac("sha256", key).update(base).digest("base64")}:`,
  };
}
const post = (headers: Record<string, string>, { body = BODY, target = TARGET } = {}) => gw.request(target, { method: "POST", headers, body });

test("a signed webhook arrives, with the name of its sender", async () => {
  const res = await post(signed());
  expect(res.status).toBe(200);
  expect(res.text()).toBe(`payments sent ${BODY}`);
});

test("a signature over more than is asked for is good, too", async () => {
  const res = await post(signed({ covered: [...COVERED, "@authority"], parameters: `;expires=${nowS() + 60};alg="hmac-sha256"` }));
  expect(res.status).toBe(200);
});

const refused: Readonly<Record<string, readonly [reason: string, headers: Record<string, string>, changed?: { body?: string; target?: string }]>> = {
  "a webhook without a signature": ["missing", { "content-type": "application/json" }],
  "one signed with another key": ["signature", signed({ key: "guessed" })],
  "a body that was changed": ["signature", signed(), { body: BODY.replace("M-20417", "M-20418") }],
  "a body that was changed, with its digest": ["signature", { ...signed(), "content-digest": digest("{}") }, { body: "{}" }],
  "another address": ["signature", signed(), { target: "/webhooks/refunds?shop=7" }],
  "another query": ["signature", signed(), { target: "/webhooks/payments?shop=8" }],
  "a signature that leaves out the body": ["denied", signed({ covered: COVERED.filter((name) => name !== "content-digest") })],
  "a signature that leaves out the address": ["denied", signed({ covered: COVERED.filter((name) => name !== "@path") })],
  "a request of ten minutes ago": ["replayed", signed({ created: nowS() - 600 })],
  "a request of tomorrow": ["not-yet-valid", signed({ created: nowS() + 86_400 })],
  "one that has expired": ["expired", signed({ parameters: `;expires=${nowS() - 1}` })],
  "another algorithm": ["algorithm", signed({ parameters: ';alg="ed25519"' })],
  "something that is no signature": ["malformed", { ...signed(), signature: "sig=M-20417" }],
};
for (const [what, [reason, headers, changed]] of Object.entries(refused)) {
  test(`${what} is refused: ${reason}`, async () => {
    const res = await post(headers, changed);
    expect(res.status).toBe(401);
    expect(res.json()).toEqual({ error: `signature: ${reason}` });
    expect(res.upstreamRequests).toEqual([]);
  });
}

test("nobody signs with a header of their own", async () => {
  const res = await post({ ...signed({ parameters: "" }), "x-webhook-sender": "payments" });
  expect(res.text()).toBe(` sent ${BODY}`);
});

test("what is not posted is no webhook", async () => {
  const res = await gw.request(TARGET);
  expect(res.status).toBe(405);
  expect(res.headers.get("allow")).toBe("POST");
});
