import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { forwardAuth, ForwardCall } from "../../runtime/security/auth/forward.ts";
import type { EgressRequest, EgressResponse } from "../../runtime/security/egress.ts";

const URL = "https://auth.example/check";
const request = {
  method: "POST",
  scheme: "https",
  authority: "shop.example",
  target: "/admin?x=1",
  clientAddress: "192.0.2.7",
  fields: new Fields(["cookie", "a=1", "cookie", "b=2", "x-note", "private"]),
};
const asked: EgressRequest[] = [];

function ask(answer: Partial<EgressResponse> | Error, call: Partial<ForwardCall> = {}) {
  const fetch = async (outgoing: EgressRequest): Promise<EgressResponse> => {
    asked.push(outgoing);
    if (answer instanceof Error) throw answer;
    return { status: 200, url: URL, redirected: false, headers: [], body: Buffer.alloc(0), ...answer };
  };
  return forwardAuth(ForwardCall.parse({ url: URL, ...call }), request, { fetch, close: () => undefined }, new AbortController().signal);
}

test("it learns what is asked for, and gets the named headers and no others", async () => {
  await ask({});
  assert.deepEqual(
    [asked[0]?.method, asked[0]?.redirect, asked[0]?.headers],
    [
      "GET",
      "manual",
      [
        ["x-forwarded-method", "POST"],
        ["x-forwarded-proto", "https"],
        ["x-forwarded-host", "shop.example"],
        ["x-forwarded-uri", "/admin?x=1"],
        ["x-forwarded-for", "192.0.2.7"],
        ["cookie", "a=1"],
        ["cookie", "b=2"],
      ],
    ],
  );
});

test("what it says several times is heard several times: fields joined, each Set-Cookie by itself", async () => {
  const headers: [string, string][] = [
    ["www-authenticate", "Bearer"],
    ["set-cookie", "csrf=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT"],
    ["www-authenticate", "Basic"],
    ["set-cookie", "back=2"],
  ];
  const result = await ask({ status: 401, headers, body: Buffer.from("log in") });
  const refusal = {
    status: 401,
    headers: { "www-authenticate": "Bearer, Basic" },
    setCookies: ["csrf=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "back=2"],
    body: "log in",
  };
  assert.deepEqual(result, { reason: "denied", refusal });
});

test("of its yes, what the rule asked for is set on the request, whole", async () => {
  const headers: [string, string][] = [
    ["x-groups", "potters"],
    ["x-internal", "17"],
    ["x-groups", "staff"],
  ];
  const result = await ask({ headers }, { copyResponseHeaders: ["X-Groups", "x-user"] });
  assert.deepEqual("setHeaders" in result && result.setHeaders, [["x-groups", "potters, staff"]]);
});

test("one that fails or is away is no yes, and no fault of the client's", async () => {
  const failed = await ask({ status: 502 });
  assert.equal("reason" in failed && failed.reason, "unavailable");
  const away = await ask(new GatewayError("SERVICE_REFUSED", "fetch: gave no answer", { cause: new Error("ECONNREFUSED") }));
  assert.deepEqual(away, { reason: "unavailable", refusal: null });
});

test("one that config does not allow is the rule's mistake", async () => {
  await assert.rejects(ask(new GatewayError("SERVICE_REFUSED", "fetch: not named in config")), /not named in config/);
});
