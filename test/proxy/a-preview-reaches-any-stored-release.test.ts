import assert from "node:assert/strict";
import { test } from "node:test";
import { PREVIEW_LONGEST_MS, previewToken, readPreview } from "../../runtime/security/preview-token.ts";
import { marking, openWorker, PREVIEW_KEY } from "./several-releases.ts";

const NOW = Date.UTC(2026, 0, 1);
const ID = "0123456789ab";

test("a token counts for its release, until its time, with its key, unchanged", () => {
  const token = previewToken(PREVIEW_KEY, ID, NOW + 60_000);
  assert.deepEqual(readPreview(PREVIEW_KEY, token, NOW), { release: ID });
  assert.deepEqual(readPreview(PREVIEW_KEY, token, NOW + 60_000), { refused: "expired", release: ID });
  assert.deepEqual(readPreview(PREVIEW_KEY, previewToken(PREVIEW_KEY, ID, NOW + 2 * PREVIEW_LONGEST_MS), NOW), { refused: "expired", release: ID });
  assert.deepEqual(readPreview("1".repeat(64), token, NOW), { refused: "forged", release: ID });
  for (const odd of ["", "v1", `${token}x`, token.slice(0, -1), token.replace(ID, "0123456789ac"), token.replace("v1", "v2")])
    assert.equal("refused" in readPreview(PREVIEW_KEY, odd, NOW), true, odd);
});

test("a release at 0 % of the traffic answers whoever shows its token, and nobody else", { timeout: 60_000 }, async (t) => {
  const [old, next] = [marking("old"), marking("next")];
  const { ask, seen, taken, refused } = await openWorker(t, old, {
    stored: [next],
    config: { routes: [{ upstream: "site", cache: { default: "60s" } }] },
    origin: (request, response) => response.end(String(request.headers["x-in"])),
  });
  const token = previewToken(PREVIEW_KEY, next.id, Date.now() + 60_000);
  const [first, also] = await Promise.all([ask("/page", { "sluice-preview": token }), ask("/own", { "sluice-preview": token })]);
  assert.deepEqual([first.text, first.headers["sluice-release"], first.headers["cache-control"]], ["next", next.id, "private, no-store"]);
  assert.equal(also.text, "next");
  assert.deepEqual(taken, [next.id], "it is loaded once");
  assert.equal((await ask("/page")).text, "old", "what a preview left in the cache nobody else gets");
  assert.equal((await ask("/page", { cookie: `a=1; sluice-preview=${token}` })).text, "next");
  assert.deepEqual(
    seen.map((headers) => headers["sluice-preview"] ?? headers.cookie),
    [undefined, undefined],
  );
  assert.deepEqual(refused, []);
});

test("no cache in front of the gateway keeps what a preview shows", { timeout: 60_000 }, async (t) => {
  const [old, next] = [marking("old"), marking("next")];
  const kept = ["cdn-cache-control", "surrogate-control", "sluice-cache-control", "netlify-cdn-cache-control"];
  const { ask } = await openWorker(t, old, {
    stored: [next],
    origin: (_request, response) => {
      for (const name of kept) response.setHeader(name, "max-age=600");
      response.end("page");
    },
  });
  const { headers } = await ask("/page", { "sluice-preview": previewToken(PREVIEW_KEY, next.id, Date.now() + 60_000) });
  assert.deepEqual([headers["cache-control"], ...kept.map((name) => headers[name])], ["private, no-store", ...kept.map(() => undefined)]);
  assert.equal((await ask("/page")).headers["cdn-cache-control"], "max-age=600");
});

test("forged, expired, of other gateways, of a release that is not there: refused with the reason, and audited", { timeout: 60_000 }, async (t) => {
  const [old, next] = [marking("old"), marking("next")];
  const { ask, refused, records, seen, taken } = await openWorker(t, old, { stored: [next] });
  const soon = Date.now() + 60_000;
  const asked = async (token: string): Promise<(string | number | undefined)[]> => {
    const { status, headers } = await ask("/page", { "sluice-preview": token });
    return [status, headers["sluice-error"] as string];
  };
  const good = previewToken(PREVIEW_KEY, next.id, soon);
  assert.deepEqual(await asked(`${good.slice(0, -1)}_`), [403, "PREVIEW_REFUSED"]);
  assert.deepEqual(await asked("nothing"), [403, "PREVIEW_REFUSED"]);
  assert.deepEqual(await asked(previewToken(PREVIEW_KEY, next.id, Date.now() - 1000)), [403, "PREVIEW_REFUSED"]);
  assert.deepEqual(await asked(previewToken("6".repeat(64), next.id, soon)), [403, "PREVIEW_REFUSED"]);
  assert.deepEqual(await asked(previewToken(PREVIEW_KEY, "ffffffffffff", soon)), [404, "PREVIEW_UNKNOWN"]);
  assert.deepEqual(await asked(previewToken(PREVIEW_KEY, "ffffffffffff", soon)), [404, "PREVIEW_UNKNOWN"]);
  assert.deepEqual(taken, ["ffffffffffff"], "the store is not asked for it again at once");
  assert.match(
    refused.join("\n"),
    /signed with the key of other gateways\n: it is none.*\n.*has expired\n.*other gateways\nffffffffffff: .*not in the store$/s,
  );
  assert.match(records.map(({ detail }) => detail).join("\n"), /has expired/);
  assert.equal(seen.length, 0);
  // A browser is let go of a cookie that is refused.
  const { headers } = await ask("/page", { cookie: "sluice-preview=old" });
  assert.match(String(headers["set-cookie"]), /^sluice-preview=; Path=\/; Max-Age=0;/);
});

test("only the last few previewed releases stay loaded", { timeout: 60_000 }, async (t) => {
  const old = marking("old");
  const stored = ["a", "b", "c", "d"].map(marking);
  const { ask, taken } = await openWorker(t, old, { stored });
  const look = async (i: number): Promise<string> =>
    (await ask("/own", { "sluice-preview": previewToken(PREVIEW_KEY, stored[i]!.id, Date.now() + 60_000) })).text;
  const said: string[] = [];
  for (const i of [0, 1, 2, 0, 3, 0, 1]) said.push(await look(i));
  assert.equal(said.join(""), "abcadab");
  assert.deepEqual(
    taken.map((id) => stored.findIndex((release) => release.id === id)),
    [0, 1, 2, 3, 1],
  );
});
