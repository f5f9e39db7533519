/** `sluice/testing`. Types and docs: `sdk/testing.ts`. */
import path from "node:path";
import { after, describe as nodeDescribe, test as nodeTest } from "node:test";
import type * as Public from "../../sdk/testing.ts";
import { closeSandboxes } from "./shared-sandbox.ts";
import { startTestGateway } from "./test-gateway.ts";

export { expect } from "./expect.ts";

/** Rules of a test name their paths from the test file; Node's runner gives each file a process of its own. */
const TEST_FOLDER = path.dirname(path.resolve(process.argv[1] ?? "."));

export const test: typeof Public.test = (name, run) => void nodeTest(name, () => run());
export const describe: typeof Public.describe = (name, run) => void nodeDescribe(name, run);

export const gateway: typeof Public.gateway = async (options) => {
  const started = await startTestGateway(options, TEST_FOLDER);
  after(async () => {
    await started.close();
    await closeSandboxes();
  });
  return started;
};
