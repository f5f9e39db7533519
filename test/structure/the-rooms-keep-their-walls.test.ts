import assert from "node:assert/strict";
import { test } from "node:test";
import type { Import } from "./imports.ts";
import { importsOf, sourceFiles } from "./imports.ts";

const SERVICES = ["cache", "ratelimit", "experiments", "security", "upstream"];
/** Whoever runs the gateway: nothing below may know of it. */
const ABOVE = ["control", "supervisor", "cli", "testing", "dashboard"];

const within = (path: string, ...rooms: string[]) => rooms.some((room) => path.startsWith(`runtime/${room}/`));
const ofProject = (path: string) => /^(runtime|sdk|test|bench|rules-examples)\//.test(path);

/** What code inside the sandbox may share with the rest: its own room, the SDK, and the names of the phases. */
const sandboxed = (path: string) => within(path, "sandbox") || path.startsWith("sdk/") || path === "runtime/compile/release.ts";

/** What lies directly in runtime/ is for every room. */
const onFloor = (path: string) => /^runtime\/[^/]+\.ts$/.test(path);

interface Wall {
  readonly says: string;
  /** Is this import through the wall? */
  readonly broken: (edge: Import) => boolean;
  /** One that is: without it nobody would notice a wall that stops nothing. */
  readonly sample: Import;
}

const value = (from: string, to: string): Import => ({ from, to, kind: "value" });
const type = (from: string, to: string): Import => ({ from, to, kind: "type" });

const walls: readonly Wall[] = [
  {
    says: "the SDK imports nothing but itself, not even types: rule authors get it whole",
    broken: ({ from, to }) => from.startsWith("sdk/") && !to.startsWith("sdk/"),
    sample: type("sdk/rule.ts", "runtime/errors.ts"),
  },
  {
    says: "the floor (errors, clock and what else lies directly in runtime/) stands on nothing",
    broken: ({ from, to, kind }) => onFloor(from) && kind === "value" && ofProject(to),
    sample: value("runtime/errors.ts", "runtime/clock.ts"),
  },
  {
    says: "pure rooms import no runtime of Node: the same code runs in a test, a worker, a sandbox",
    broken: ({ from, to, kind }) =>
      /^runtime\/(proxy\/(fields|match\/.*)|sandbox\/codec)(\.ts)?$/.test(from) &&
      kind === "value" &&
      !within(to, "proxy") &&
      !onFloor(to) &&
      // IDNA, a function of its argument.
      to !== "node:url",
    sample: value("runtime/proxy/match/compile-matcher.ts", "node:fs"),
  },
  {
    says: "the cache's policy is functions of their arguments: it imports itself, and types",
    broken: ({ from, to, kind }) => within(from, "cache/policy") && kind === "value" && !within(to, "cache/policy"),
    sample: value("runtime/cache/policy/reuse.ts", "runtime/clock.ts"),
  },
  {
    says: "assignment and statistics are functions of their arguments: they import themselves, and types; assignment HMAC, a function too",
    broken: ({ from, to, kind }) =>
      kind === "value" &&
      ["experiments/assign", "experiments/statistics"].some((room) => within(from, room) && !within(to, room)) &&
      !(to === "node:crypto" && from === "runtime/experiments/assign/sealed.ts"),
    sample: value("runtime/experiments/statistics/bayesian.ts", "runtime/clock.ts"),
  },
  {
    says: "services do not know each other; what two need stands below them",
    broken: ({ from, to, kind }) =>
      kind === "value" && SERVICES.some((service) => within(from, service) && within(to, ...SERVICES.filter((other) => other !== service))),
    sample: value("runtime/upstream/groups.ts", "runtime/cache/cache.ts"),
  },
  {
    says: "services, proxy, sandbox, config, compile and observe do not know who runs them",
    broken: ({ from, to, kind }) =>
      kind === "value" && within(from, ...SERVICES, "proxy", "sandbox", "config", "compile", "observe", "store") && within(to, ...ABOVE),
    sample: value("runtime/proxy/handler.ts", "runtime/supervisor/supervisor.ts"),
  },
  {
    says: "the store stands below the services and the proxy: it knows keys and scripts, and not what they are for",
    broken: ({ from, to, kind }) => kind === "value" && within(from, "store") && within(to, ...SERVICES, "proxy", "sandbox"),
    sample: value("runtime/store/embedded/process.ts", "runtime/ratelimit/scripts.ts"),
  },
  {
    says: "control never reaches into the proxy: it speaks with workers by messages",
    broken: ({ from, to, kind }) => kind === "value" && within(from, "control") && within(to, "proxy"),
    sample: value("runtime/control/admin.ts", "runtime/proxy/core.ts"),
  },
  {
    says: "the sandbox process imports nothing outside the sandbox and the SDK: what it can't load can't be abused",
    broken: ({ from, to, kind }) => kind === "value" && within(from, "sandbox/process") && ofProject(to) && !sandboxed(to),
    sample: value("runtime/sandbox/process/main.ts", "runtime/security/egress.ts"),
  },
  {
    says: "the kernel runs inside the isolate: no Node module, nothing outside the sandbox and the SDK",
    broken: ({ from, to, kind }) =>
      kind === "value" &&
      within(from, "sandbox/kernel") &&
      // The one file beside the kernel that bundles it.
      from !== "runtime/sandbox/kernel/build.ts" &&
      (to.startsWith("node:") || (ofProject(to) && !sandboxed(to))),
    sample: value("runtime/sandbox/kernel/kernel.ts", "node:vm"),
  },
  {
    says: "the product does not import its tests, benchmarks or examples",
    broken: ({ from, to }) => /^(runtime|sdk)\//.test(from) && /^(test|bench|rules-examples)\//.test(to),
    sample: value("runtime/cli/init.ts", "rules-examples/jwt-login/rule.ts"),
  },
  {
    says: "only the command line imports the command line",
    broken: ({ from, to }) => !within(from, "cli") && !from.startsWith("test/") && within(to, "cli"),
    sample: value("runtime/supervisor/supervisor.ts", "runtime/cli/terminal.ts"),
  },
];

const files = sourceFiles("sdk", "runtime", "rules-examples", "bench");
const imports = await importsOf(files);

test("the imports were read: values, types, packages and Node's own", () => {
  assert.ok(imports.some(({ from, to, kind }) => from === "runtime/proxy/exchange.ts" && to === "runtime/proxy/fields.ts" && kind === "type"));
  assert.ok(imports.some(({ from, to, kind }) => from === "sdk/rule.ts" && to === "sdk/rule-check.ts" && kind === "value"));
  assert.ok(imports.some(({ from, to, kind }) => from === "rules-examples/shop/origin/origin.ts" && to === "ws" && kind === "value"));
  assert.ok(imports.some(({ to }) => to === "node:net"));
});

for (const { says, broken, sample } of walls) {
  test(says, () => {
    assert.ok(broken(sample), "the wall stops its own sample");
    const through = imports.filter(broken).map(({ from, to, kind }) => `${from} imports ${kind === "type" ? "the types of " : ""}${to}`);
    assert.deepEqual(through, []);
  });
}
