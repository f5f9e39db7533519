import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { sluice, startSluice } from "./sluice-command.ts";

const run = promisify(execFile);
const CHECKOUT = join(import.meta.dirname, "../..");

describe("the package from npm pack, installed in an empty folder", () => {
  let folder = "";
  let bin = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-packed-"));
    const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: CHECKOUT, maxBuffer: 2 ** 26 });
    const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf("[\n"))) as [{ filename: string }];
    // Install scripts stay off, as a careful npm leaves them: the Node that runs this test is new enough.
    await run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", join(folder, filename)], {
      cwd: folder,
      maxBuffer: 2 ** 26,
    });
    bin = join(folder, "node_modules/sluice/runtime/cli/sluice.js");
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test("makes a project that checks, tests and serves", async () => {
    const made = await sluice(folder, ["init", "gateway"], bin);
    assert.equal(made.code, 0, made.text);
    const project = join(folder, "gateway");
    const config = join(project, "sluice.config.ts");
    await writeFile(
      config,
      (await readFile(config, "utf8")).replace("port: 8080", "port: 0").replace('rules: "./rules"', 'admin: { port: 0 },\n  rules: "./rules"'),
    );

    const checked = await sluice(project, ["check"], bin);
    assert.equal(checked.code, 0, checked.text);
    const tested = await sluice(project, ["test"], bin);
    assert.equal(tested.code, 0, tested.text);
    assert.match(tested.text, /pass 4\b/);

    const dev = startSluice(project, ["dev"], bin);
    const [, url] = await dev.printed(/listening on (\S+)/);
    await dev.printed(/is live: 1 rule and 1 experiment/);
    assert.equal(await (await fetch(`${url}/hello?name=Ada`)).text(), "hello, Ada\n");
    assert.equal(await dev.stop(), 0);
  });

  test("carries no TypeScript that Node would have to strip, and no test", async () => {
    const { stdout } = await run("find", [join(folder, "node_modules/sluice"), "-name", "*.ts", "-not", "-name", "*.d.ts"]);
    assert.equal(stdout, "");
  });
});
