import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { ConfigError, loadConfig, resolveConfig } from "../../runtime/config/config.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-config-"));
const upstreams = { site: { targets: ["http://127.0.0.1:9001"] } };

function problems(config: unknown, env: Record<string, string> = {}): string[] {
  try {
    resolveConfig(config, { baseDir: folder, file: "", env });
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map(({ path, text }) => `${path}: ${text}`);
  }
  return [];
}

describe("a wrong config", () => {
  test("is told with path, value and what was expected, all of it at once", () => {
    const found = problems({ listeners: [{ port: 70000 }], workers: 0, upstreams: { site: { targets: [] } }, limits: { headers: "many", bodySize: "10MB" } });
    assert.deepEqual(found, [
      "listeners[0].port: found 70000, expected a port from 0 to 65535",
      'workers: found 0, expected "auto" or a whole number from 1 to 1024',
      "upstreams.site.targets: found [], expected at least one target",
      'limits.headers: found "many", expected a whole number from 1',
      'limits.bodySize: found "10MB", expected a size such as "64KiB" or "8MiB"',
    ]);
  });
  test("names the nearest key for one that is unknown, wherever it stands", () => {
    const found = problems({
      upstreems: upstreams,
      upstreams: { site: { targets: [{ url: "http://a", wieght: 2 }], timeouts: { conect: "1s" } } },
      limits: { bodysize: "1MiB" },
      log: { acess: "all" },
    });
    assert.deepEqual(found.map((line) => line.replace(/ with .*;/, ";")).sort(), [
      'limits.bodysize: found an unknown key; did you mean "bodySize"?',
      'log.acess: found an unknown key; did you mean "access"?',
      'upstreams.site.targets[0].wieght: found an unknown key; did you mean "weight"?',
      'upstreams.site.timeouts.conect: found an unknown key; did you mean "connect"?',
      'upstreems: found an unknown key; did you mean "upstreams"?',
    ]);
  });
  test("says of keys that later versions have that this one has not", () => {
    const found = problems({
      upstreams: { site: { targets: [{ url: "http://a", backup: true }], balance: "ewma", health: {} } },
      listeners: [{ port: 1, tls: {} }],
      routes: [{ upstream: "site" }],
    });
    assert.deepEqual(found.map((line) => line.split(":")[0]!).sort(), [
      "listeners[0].tls",
      "upstreams.site.balance",
      "upstreams.site.health",
      "upstreams.site.targets[0].backup",
    ]);
    for (const line of found) assert.match(line, /is not in this version yet/);
  });
  test("names targets that are no URL, unknown upstreams, bad blocks, bad origins and doubled listeners", () => {
    const found = problems({
      listeners: [{ port: 8080 }, { port: 8080 }],
      trustedProxies: ["10.0.0.0/33"],
      upstreams: { shop: { targets: ["127.0.0.1:9001", "http://user:pw@a", "http://a/path", "ftp://a"] } },
      routes: [{ match: { host: "*", pth: "/" }, upstream: "shpo" }],
      fetch: { allow: ["auth.example.com"] },
    });
    const text = found.join("\n");
    for (const path of [
      "listeners[1]",
      "trustedProxies[0]",
      "upstreams.shop.targets[0]",
      "upstreams.shop.targets[1]",
      "upstreams.shop.targets[2]",
      "upstreams.shop.targets[3]",
      "routes[0].upstream",
      "fetch.allow[0]",
    ])
      assert.ok(text.includes(`${path}: found`), `${path} in\n${text}`);
    assert.match(text, /found "shpo", which upstreams does not name; did you mean "shop"\?/);
    assert.match(text, /routes\[0\]\.match.*pth/);
  });
  test("never shows a secret, and names the ones that are missing", () => {
    const found = problems({ upstreams, secrets: { a: { env: "NOT_SET" }, b: { env: "EMPTY" }, c: { file: "./no-such-file" } } }, { EMPTY: "" });
    assert.deepEqual(found, [
      "secrets.a.env: the environment variable NOT_SET is not set",
      "secrets.b.env: the environment variable EMPTY is empty",
      'secrets.c.file: "./no-such-file" cannot be read (ENOENT)',
    ]);
  });
  test("shows neither a secret that was written in place of its source, nor the credentials of a URL", () => {
    for (const secrets of [{ key: "hunter2" }, { key: { env: "HOME", value: "hunter2" } }, ["hunter2"]]) {
      const [told] = problems({ upstreams, secrets });
      assert.match(told!, /^secrets.*not shown/);
      assert.doesNotMatch(told!, /hunter2/);
    }
    const [told] = problems({ upstreams: { site: { targets: ["http://user:hunter2@127.0.0.1:9001"] } } });
    assert.match(told!, /without path or credentials/);
    assert.doesNotMatch(told!, /hunter2/);
  });
  test("tells of references that lead nowhere beside parts of the wrong shape", () => {
    const told = problems({ upstreams, limits: { headers: "many" }, vars: { f: () => 1 }, routes: [{ upstream: "sit" }], rules: "./nowhere", geo: {} });
    for (const path of ["limits.headers: ", "vars.f: ", "geo: ", "routes[0].upstream: ", "rules: "])
      assert.ok(
        told.some((line) => line.startsWith(path)),
        path,
      );
    assert.equal(told.length, 5);
    assert.deepEqual(problems({ upstreams: 7, routes: [{ upstream: "site" }] }).length, 1, "routes are not judged by upstreams that nobody can read");
  });
  test("names addresses that are taken twice, also by a wildcard or the admin listener, and targets named twice", () => {
    const twice = (listeners: unknown, admin?: unknown): string => problems({ upstreams, listeners, ...(admin === undefined ? {} : { admin }) }).join();
    const local = { host: "127.0.0.1", port: 8080 };
    assert.match(twice([local, { host: "0.0.0.0", port: 8080 }]), /^listeners\[1\]: found 0\.0\.0\.0:8080 again; listeners\[0\]/);
    assert.match(twice([{ host: "127.0.0.1", port: 9901 }]), /^admin\.port: found 9901, which listeners\[0\] has already/);
    assert.match(twice([local], { host: "here" }), /^admin\.host: found "here"/);
    assert.match(
      problems({ upstreams: { site: { targets: ["http://127.0.0.1:9001", { url: "http://127.0.0.1:9001/" }] } } }).join(),
      /targets\[1\]: found "http:\/\/127\.0\.0\.1:9001" again/,
    );
  });
  test("wants waits above nothing, and says each mistake once", () => {
    assert.deepEqual(problems({ upstreams, limits: { headTimeout: "0s", keepAlive: "0s", drain: "-1s", bodySize: 1 } }), [
      'limits.bodySize: found 1, expected a size such as "64KiB" or "8MiB"',
      'limits.headTimeout: found "0s", expected a duration above 0',
      'limits.drain: found "-1s", expected a duration such as "250ms", "2s" or "5m"',
    ]);
    assert.deepEqual(problems({ upstreams, log: { access: "some" } }), ['log.access: found "some", expected "all", "errors", "off" or a share such as "5%"']);
    assert.match(problems({ upstreams, trustedProxies: ["10", "10/8"] }).join(), /trustedProxies\[0\].*trustedProxies\[1\]/);
  });
  test("names a rules folder that is not there or is no folder", () => {
    writeFileSync(join(folder, "file"), "");
    assert.match(problems({ upstreams, rules: "./nowhere" })[0]!, /rules: found "\.\/nowhere", expected a readable folder \(ENOENT\)/);
    assert.match(problems({ upstreams, rules: "./file" })[0]!, /rules/);
  });
  test("wants routes when there are several upstreams", () => {
    assert.match(problems({ upstreams: { a: upstreams.site, b: upstreams.site } })[0]!, /routes: found nothing, expected routes/);
  });
  for (const value of [null, 7, "config", [], undefined]) test(`is refused when it is ${JSON.stringify(value)}`, () => assert.ok(problems(value).length > 0));
});

describe("the smallest config", () => {
  test("is one upstream; everything else has the documented default", () => {
    const config = resolveConfig({ upstreams }, { baseDir: "/etc/sluice", file: "" });
    assert.deepEqual(config.listeners, [{ host: "127.0.0.1", port: 8080 }]);
    assert.deepEqual(config.routes, [{ match: [], upstream: "site", cache: null, limits: [] }]);
    assert.deepEqual(config.admin, { host: "127.0.0.1", port: 9901 });
    assert.equal(config.stateDir, "/etc/sluice/.sluice");
    assert.deepEqual(config.upstreams["site"]!.targets, [{ url: "http://127.0.0.1:9001", scheme: "http", host: "127.0.0.1", port: 9001, weight: 1 }]);
    const {
      targetBytes,
      headerLineBytes,
      headerBytes,
      headers,
      ruleCpuMs,
      ruleWallMs,
      ruleMemoryBytes,
      ruleFetches,
      headTimeoutMs,
      bodyTimeoutMs,
      bodyMinBytesPerSecond,
      keepAliveMs,
    } = config.limits;
    assert.deepEqual(
      [
        targetBytes,
        headerLineBytes,
        headerBytes,
        headers,
        ruleCpuMs,
        ruleWallMs,
        ruleMemoryBytes,
        ruleFetches,
        headTimeoutMs,
        bodyTimeoutMs,
        bodyMinBytesPerSecond,
        keepAliveMs,
      ],
      [8192, 16384, 32768, 100, 50, 5000, 64 * 2 ** 20, 16, 10_000, 30_000, 500, 60_000],
    );
    assert.deepEqual(config.log.redactHeaders, ["authorization", "cookie", "set-cookie", "proxy-authorization"]);
  });
  test("may ask for free ports as often as it likes", () => {
    assert.deepEqual(problems({ upstreams, listeners: [{ port: 0 }, { port: 0 }] }), []);
  });
  test("reads secrets from environment and files, and units in all spellings", () => {
    writeFileSync(join(folder, "key"), "from a file\n");
    const config = resolveConfig(
      {
        upstreams: { site: { targets: ["https://[::1]:8443"], timeouts: { connect: "250ms", idle: "1.5m" } } },
        secrets: { a: { env: "A" }, b: { file: "./key" } },
        limits: { bodySize: "1.5KiB", drain: "1h" },
        log: { access: "5%" },
      },
      { baseDir: folder, file: "", env: { A: "from the environment" } },
    );
    assert.deepEqual(config.secrets, { a: "from the environment", b: "from a file" });
    assert.deepEqual(config.upstreams["site"]!.targets[0], { url: "https://[::1]:8443", scheme: "https", host: "::1", port: 8443, weight: 1 });
    assert.deepEqual(
      [
        config.upstreams["site"]!.timeouts.connectMs,
        config.upstreams["site"]!.timeouts.idleMs,
        config.limits.bodyBytes,
        config.limits.drainMs,
        config.log.accessShare,
      ],
      [250, 90_000, 1536, 3_600_000, 0.05],
    );
  });
});

describe("a config file", () => {
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  const failure = async (file: string): Promise<string> =>
    loadConfig(file).then(
      () => assert.fail("it was taken"),
      (error: unknown) => (error instanceof ConfigError ? error.message : assert.fail(String(error))),
    );

  test("may be TypeScript that imports sluice and Node, or JSON with a schema", async () => {
    const typed = write(
      "typed.config.ts",
      'import { defineConfig } from "sluice"\nimport { join } from "node:path"\nexport default defineConfig({ upstreams: { site: { targets: ["http://127.0.0.1:9001"] } }, stateDir: join("a", "b") })',
    );
    assert.equal((await loadConfig(typed)).config.stateDir, join(folder, "a/b"));
    const json = write("plain.json", JSON.stringify({ $schema: "./schema.json", upstreams }));
    assert.deepEqual((await loadConfig(json)).config.routes, [{ match: [], upstream: "site", cache: null, limits: [] }]);
  });
  test("that cannot be read, parsed, run or found says so, with its place", async () => {
    assert.match(await failure(join(folder, "nowhere.json")), /no such file or folder/);
    assert.match(await failure(mkdtempSync(join(tmpdir(), "sluice-empty-"))), /found neither sluice\.config\.ts nor sluice\.config\.json/);
    assert.match(await failure(write("broken.json", "{")), /no valid JSON/);
    assert.match(await failure(write("broken.ts", "export default {\n  a: ,\n}")), /broken\.ts:2:6: Unexpected ","/);
    assert.match(await failure(write("throws.ts", 'throw new Error("no luck")')), /threw while it ran: no luck/);
    assert.match(await failure(write("nothing.ts", "export const a = 1")), /no default export/);
  });
  test("warns of a target whose name does not resolve, and takes it all the same", async () => {
    const { config, warnings } = await loadConfig(
      write("names.json", JSON.stringify({ upstreams: { site: { targets: ["http://no-such-host.invalid:80"] } } })),
    );
    assert.equal(config.upstreams["site"]!.targets[0]!.host, "no-such-host.invalid");
    assert.match(warnings.join(), /no-such-host\.invalid does not resolve .*start as down/);
  });
});
