/** `sluice/testing`. Types and docs: `sdk/testing.ts`. */
import path from "node:path";
import { after, describe as nodeDescribe, test as nodeTest } from "node:test";
import type * as Public from "../../sdk/testing.ts";
import { closeCompiler } from "./compiled-rules.ts";
import { writeCoverage } from "./coverage.ts";
import { currentSession } from "./session.ts";
import { closeSandboxes } from "./shared-sandbox.ts";
import { startTestGateway } from "./test-gateway.ts";

export { expect } from "./expect.ts";

/** A file that Node runs itself is its process's main module. */
const MAIN_FOLDER = path.dirname(path.resolve(process.argv[1] ?? "."));

export const test: typeof Public.test = (name, run) => {
  const session = currentSession();
  if (session === null) void nodeTest(name, () => run());
  else session.declare(name, run);
};

export const describe: typeof Public.describe = (name, run) => {
  const session = currentSession();
  if (session === null) void nodeDescribe(name, run);
  else session.group(name, run);
};

export const gateway: typeof Public.gateway = async (options) => {
  const session = currentSession();
  const started = await startTestGateway(options, session?.folder ?? MAIN_FOLDER);
  if (session === null)
    after(async () => {
      await started.close();
      writeCoverage();
      await Promise.all([closeSandboxes(), closeCompiler()]);
    });
  else session.after(() => started.close());
  return started;
};
