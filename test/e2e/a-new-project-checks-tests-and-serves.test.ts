import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { launchChromium } from "./launch-chromium.ts";
import { type Running, sluice, startSluice } from "./sluice-command.ts";

describe("a project that sluice init made outside the checkout", () => {
  let folder = "";
  let rule = "";
  let good = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-init-"));
    rule = join(folder, "rules/hello.ts");
    const made = await sluice(folder, ["init"]);
    assert.equal(made.code, 0, made.text);
    good = await readFile(rule, "utf8");
    const config = join(folder, "sluice.config.ts");
    // Free ports, so that test files may run beside each other.
    await writeFile(
      config,
      (await readFile(config, "utf8")).replace("port: 8080", "port: 0").replace('rules: "./rules"', 'admin: { port: 0 },\n  rules: "./rules"'),
    );
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test("passes its own check and its own test", async () => {
    const checked = await sluice(folder, ["check"]);
    assert.equal(checked.code, 0, checked.text);
    assert.match(checked.text, /1 rule and 1 experiment\n(.*\n)* {2}headline\.ts {2}experiment headline/);
    assert.match(checked.text, /hello\.ts {2}onRequest, onResponse/);
    const tested = await sluice(folder, ["test"]);
    assert.equal(tested.code, 0, tested.text);
    assert.match(tested.text, /pass 4\b/);
  });

  test("is not overwritten by a second init", async () => {
    const again = await sluice(folder, ["init"]);
    assert.equal(again.code, 1);
    assert.match(again.text, /already holds .*rules\/hello\.ts/);
  });

  test("fails its check with file, line, column and code frame when a type is wrong", async () => {
    await appendFile(rule, "const wrong: string = 1\nexport { wrong }\n");
    const checked = await sluice(folder, ["check"]);
    await writeFile(rule, good);
    assert.equal(checked.code, 1);
    assert.match(checked.text, /rules\/hello\.ts:13:7: TS2322: .*\n(.*\n){2}> 13 \| const wrong: string = 1\n.*\^/);
    const json = await sluice(folder, ["check", "--json"]);
    assert.deepEqual((JSON.parse(json.text) as { problems: unknown[] }).problems, []);
  });

  describe("under sluice dev", () => {
    let dev: Running;
    let url = "";
    const ask = async (accept = "*/*"): Promise<{ status: number; text: string }> => {
      const answer = await fetch(`${url}/hello`, { headers: { accept } });
      return { status: answer.status, text: await answer.text() };
    };
    before(async () => {
      dev = startSluice(folder, ["dev"]);
      // The first of its processes is there: what it compiles first is read by now, or soon.
      await dev.printed(/store-started/);
      await writeFile(rule, good.replace('"world"', '"early bird"'));
      url = (await dev.printed(/listening on (\S+)/))[1]!;
      await dev.printed(/is live: 1 rule and 1 experiment/);
    });
    after(() => dev.stop());

    test("a rule saved while it starts is live too", async () => {
      for (const deadline = AbortSignal.timeout(30_000); (await ask()).text !== "hello, early bird\n"; deadline.throwIfAborted());
      const seen = dev.text().length;
      await writeFile(rule, good);
      await dev.printed(/release \w+ is live/, seen);
    });

    test("a saved rule is live without a restart", async () => {
      assert.deepEqual(await ask(), { status: 200, text: "hello, world\n" });
      const seen = dev.text().length;
      await writeFile(rule, good.replace('"world"', '"edge"'));
      await dev.printed(/release \w+ is live/, seen);
      assert.deepEqual(await ask(), { status: 200, text: "hello, edge\n" });
    });

    test("a broken save is shown in terminal and browser, and the last good release keeps serving", async () => {
      const seen = dev.text().length;
      await writeFile(rule, good.replace('"world"', '"edge').replace("hello, ", ""));
      await dev.printed(/keeps serving/, seen);
      assert.match(dev.text().slice(seen), /rules\/hello\.ts:6:\d+: Unterminated string literal\n(.*\n)*> 6 \|/);
      assert.deepEqual(await ask(), { status: 200, text: "hello, edge\n" });

      const browser = await launchChromium();
      try {
        const page = await browser.newPage();
        await page.goto(`${url}/hello`);
        assert.match(await page.locator("main").innerText(), /rules\/hello\.ts:6:\d+[^]*> 6 \|/);
        // The developer may look at the site by the last good release nevertheless.
        await page.getByRole("button").click();
        await page.getByText("hello, edge").waitFor();
        // A mended save brings the page back by itself.
        await page.context().clearCookies();
        await page.goto(`${url}/hello`);
        const broken = dev.text().length;
        await writeFile(rule, good);
        await dev.printed(/release \w+ is live/, broken);
        await page.getByText("hello, world").waitFor();
      } finally {
        await browser.close();
      }
    });

    test("a type error is told after the release is live", async () => {
      const seen = dev.text().length;
      await writeFile(rule, `${good}const wrong: string = 1\nexport { wrong }\n`);
      await dev.printed(/is live[^]*TS2322[^]*1 type problem/, seen);
      assert.equal((await ask()).status, 200);
    });

    test("a rule that loops while loading is refused, and the release that serves stays", async () => {
      const seen = dev.text().length;
      await writeFile(rule, `${good}for (;;) {}\n`);
      await dev.printed(/keeps serving/, seen);
      assert.match(dev.text().slice(seen), /rules\/hello\.ts:13:1: did not finish loading/);
      assert.equal((await ask()).status, 200);
    });

    test("a config that is wrong leaves everything as it was and says why", async () => {
      const config = join(folder, "sluice.config.ts");
      const before = await readFile(config, "utf8");
      const seen = dev.text().length;
      await writeFile(config, before.replace("rules:", "rulez:"));
      await dev.printed(/stays as it was/, seen);
      assert.match(dev.text().slice(seen), /rulez[^]*rules/);
      assert.equal((await ask()).status, 200);
      await writeFile(config, before);
    });
  });
});

test("an unknown command or option is bad usage, with the nearest name", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-usage-"));
  const unknown = await sluice(folder, ["chekc"]);
  assert.equal(unknown.code, 2, unknown.text);
  assert.match(unknown.text, /Did you mean check/);
  assert.equal((await sluice(folder, ["start", "--nonsense"])).code, 2);
  for (const nested of [
    ["experiments", "plan"],
    ["releases", "preview"],
  ]) {
    const { code, text } = await sluice(folder, nested);
    assert.equal(code, 2, text);
    assert.match(text, new RegExp(`sluice ${nested.join(" ")} --help says what it takes`));
  }
  assert.equal((await sluice(folder, ["--help"])).code, 0);
  await rm(folder, { recursive: true });
});
