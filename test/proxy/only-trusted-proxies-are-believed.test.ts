import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { ConnectionFacts } from "../../runtime/proxy/exchange.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { addForwarded, receive, receivedRequestId, TrustedProxies } from "../../runtime/proxy/forwarded.ts";

function connection(remoteAddress: string): ConnectionFacts {
  return { id: "1", remoteAddress, remotePort: 5000, localAddress: "10.0.0.1", localPort: 80, scheme: "http" };
}
const proxies = new TrustedProxies(["10.0.0.0/8", "fd00::/8", "192.0.2.7"]);

describe("what a stranger claims", () => {
  const claims = [
    "forwarded",
    "for=1.2.3.4",
    "x-forwarded-for",
    "1.2.3.4",
    "x-forwarded-proto",
    "https",
    "x-forwarded-host",
    "bank.example",
    "x-real-ip",
    "1.2.3.4",
    "x-request-id",
    "mine",
  ];
  test("is dropped before rules and origins see it", () => {
    const fields = new Fields(["accept", "*/*", ...claims, "x-forwarded-custom", "kept"]);
    const client = receive(fields, connection("203.0.113.9"), proxies);
    assert.deepEqual(client, { address: "203.0.113.9", scheme: "http", trusted: false });
    assert.deepEqual(fields.list, ["accept", "*/*", "x-forwarded-custom", "kept"]);
  });
  test("about the path, the host or the scheme of the request is dropped under whatever name frameworks believe it", () => {
    const fields = new Fields(
      ["x-original-url", "x-rewrite-url", "x-original-host", "x-forwarded-prefix", "x-forwarded-scheme", "x-forwarded-ssl", "x-forwarded-server"].flatMap(
        (name) => [name, "/admin"],
      ),
    );
    receive(fields, connection("203.0.113.9"), proxies);
    assert.deepEqual(fields.list, []);
    const trusted = new Fields(["x-original-url", "/admin"]);
    receive(trusted, connection("10.1.2.3"), proxies);
    assert.deepEqual(trusted.list, ["x-original-url", "/admin"]);
  });
  test("is dropped with underscores in its name, too, which some origins read as hyphens", () => {
    const fields = new Fields(["x_forwarded_for", "1.2.3.4", "x-forwarded_proto", "https", "x_custom", "kept"]);
    receive(fields, connection("203.0.113.9"), proxies);
    assert.deepEqual(fields.list, ["x_custom", "kept"]);
  });
  test("is believed from a trusted proxy", () => {
    const fields = new Fields([...claims]);
    assert.deepEqual(receive(fields, connection("10.1.2.3"), proxies), { address: "1.2.3.4", scheme: "https", trusted: true });
    assert.equal(receivedRequestId(fields), "mine");
  });
});

describe("the client behind a chain of proxies", () => {
  const behind = (chain: string): string => receive(new Fields(["x-forwarded-for", chain]), connection("10.1.2.3"), proxies).address;
  test("is the nearest address that is no trusted proxy", () => {
    assert.equal(behind("6.6.6.6, 203.0.113.9, 10.9.9.9, fd00::1"), "203.0.113.9");
    assert.equal(behind("192.0.2.7, 10.9.9.9"), "192.0.2.7");
    assert.equal(behind("2001:db8::9, 192.0.2.7"), "2001:db8::9");
  });
  test("stays what is known when the chain holds something that is no address", () => {
    assert.equal(behind("203.0.113.9, unknown"), "10.1.2.3");
    assert.equal(behind("203.0.113.9, garbage, 10.9.9.9"), "10.9.9.9");
    assert.equal(behind(""), "10.1.2.3");
  });
  test("is always an address, whatever the chain", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), { maxLength: 60 }), (hops) => assert.match(behind(hops.join(",")), /^[0-9a-fA-F.:]+$/)),
    );
  });
});

describe("what the gateway tells the origin", () => {
  test("replaces nothing of a trusted chain and adds the peer", () => {
    const fields = new Fields([
      "x-forwarded-for",
      "1.2.3.4",
      "x-forwarded-for",
      "5.6.7.8",
      "x-forwarded-proto",
      "https",
      "via",
      "1.1 edge",
      "forwarded",
      "for=1.2.3.4",
    ]);
    const peer = connection("10.1.2.3");
    const client = receive(fields, peer, proxies);
    addForwarded(fields, client, peer.remoteAddress, "shop.example:8080", "1.1", "id-1");
    assert.equal(fields.joined("x-forwarded-for"), "1.2.3.4, 5.6.7.8, 10.1.2.3");
    assert.equal(fields.joined("x-forwarded-proto"), "https");
    assert.equal(fields.get("x-forwarded-host"), "shop.example:8080");
    assert.equal(fields.get("forwarded"), 'for=1.2.3.4, for=10.1.2.3;host="shop.example:8080";proto=https');
    assert.equal(fields.get("via"), "1.1 edge, 1.1 sluice");
    assert.equal(fields.get("x-request-id"), "id-1");
  });
  test("puts an IPv6 peer in brackets and quotes (RFC 7239 section 6)", () => {
    const fields = new Fields();
    const peer = connection("2001:db8::1");
    addForwarded(fields, receive(fields, peer, proxies), peer.remoteAddress, "a.example", "1.0", "id-2");
    assert.equal(fields.get("forwarded"), 'for="[2001:db8::1]";host=a.example;proto=http');
    assert.equal(fields.get("x-forwarded-for"), "2001:db8::1");
    assert.equal(fields.get("via"), "1.0 sluice");
  });
});

test("a request id is taken over only when it is short and harmless", () => {
  for (const [id, taken] of [
    ["abc-1", true],
    ["a".repeat(128), true],
    ["a".repeat(129), false],
    ["a b", false],
    ["<script>", false],
    ["", false],
  ] as const) {
    assert.equal(receivedRequestId(new Fields(["x-request-id", id])), taken ? id : undefined);
  }
});
