/** What `sluice init` writes: a project small enough to be read at once. */

export const CONFIG_TEXT = `import { defineConfig } from "sluice"

export default defineConfig({
  listeners: [{ host: "127.0.0.1", port: 8080 }],
  upstreams: {
    // The server behind the gateway. Requests reach it after the rules have had their say.
    site: { targets: ["http://127.0.0.1:9001"] },
  },
  rules: "./rules",
  vars: { greeting: "hello" },
})
`;

export const RULE_TEXT = `import { defineRule, respond } from "sluice"

// Answers /hello by itself, and marks every response that passes.
export default defineRule({
  onRequest(req, ctx) {
    if (req.path === "/hello") return respond(200, \`\${String(ctx.vars["greeting"])}, \${req.query.get("name") ?? "world"}\\n\`)
    req.headers.set("x-gateway", "sluice")
  },
  onResponse(res) {
    res.headers.set("x-content-type-options", "nosniff")
  },
})
`;

export const RULE_TEST_TEXT = `import { expect, gateway, test } from "sluice/testing"

const gw = await gateway({
  rules: "./hello.ts",
  vars: { greeting: "hello" },
  upstreams: { site: () => ({ status: 200, body: "from the site" }) },
})

test("greets whoever asks", async () => {
  const res = await gw.request("/hello?name=Ada")
  expect(res.status).toBe(200)
  expect(res.text()).toBe("hello, Ada\\n")
  expect(res.upstreamRequests).toEqual([])
})

test("passes everything else to the site", async () => {
  const res = await gw.request("/")
  expect(res.text()).toBe("from the site")
  expect(res.headers.get("x-content-type-options")).toBe("nosniff")
  expect(res.upstreamRequests[0]?.headers.get("x-gateway")).toBe("sluice")
})
`;

export const EXPERIMENT_TEXT = `import { defineExperiment, html } from "sluice"

// Half of the visitors read another headline on the home page. Pages stay as they are: the gateway edits them on their way.
// By hand: curl -A 'Mozilla/5.0 Firefox/145.0' http://127.0.0.1:8080/ (curl by itself is a bot, and bots see control)
export default defineExperiment({
  key: "headline",
  when: { path: "/" },
  variants: { control: 50, friendly: 50 },
  apply: { friendly: { html: [html.setText("h1", "Good to see you")] } },
  // What counts, seen in the traffic. The report: npx sluice experiments report headline
  goals: { signedUp: { when: { method: "POST", path: "/signup" } } },
  guardrails: { errors: { maxIncrease: "1%" } },
})
`;

export const EXPERIMENT_TEST_TEXT = `import { expect, gateway, test } from "sluice/testing"

const page = "<!doctype html><h1>Welcome</h1><p>to the site</p>"
const gw = await gateway({
  rules: "./headline.ts",
  upstreams: { site: () => ({ headers: { "content-type": "text/html" }, body: page }) },
})

test("friendly reads another headline", async () => {
  const res = await gw.request("/", { variants: { headline: "friendly" } })
  expect(res.text()).toBe(page.replace("Welcome", "Good to see you"))
})

test("control is the page as the site sends it", async () => {
  const res = await gw.request("/", { variants: { headline: "control" } })
  expect(res.text()).toBe(page)
})
`;

/** Compiler options for rules; `more` resolves `sluice` where it runs from its sources. */
export function tsconfigText(more: string): string {
  return `{
  // Rules run in a sandbox without Node and without a page: web-standard classes, nothing else.
  "compilerOptions": {
    "target": "es2024",
    "lib": ["es2024", "webworker", "webworker.iterable"],
    "types": [],
    "module": "esnext",
    "moduleResolution": "bundler",${more}
    "strict": true,
    "noEmit": true,
    "skipLibCheck": true
  },
  "include": ["sluice.config.ts", "rules"]
}
`;
}
