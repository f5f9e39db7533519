import assert from "node:assert/strict";
import path from "node:path";
import { after, test } from "node:test";
import { build } from "esbuild";
import { createWebContext } from "./web-context.ts";

/** As its author would write it for any web-standard runtime. */
const APP = `
  import { Hono } from "hono";
  import { getCookie, setCookie } from "hono/cookie";
  import { cors } from "hono/cors";
  import { etag } from "hono/etag";
  import { basicAuth } from "hono/basic-auth";
  import { sign, verify } from "hono/jwt";
  import { stream } from "hono/streaming";

  const app = new Hono();
  app.use("/api/*", cors());
  app.use("/tagged", etag());
  app.use("/staff/*", basicAuth({ username: "ada", password: "secret" }));
  app.get("/", (c) => c.html("<h1>hello</h1>"));
  app.get("/api/items/:id", (c) => c.json({ id: c.req.param("id"), q: c.req.query("q"), theme: c.env.theme }));
  app.post("/api/echo", async (c) => c.json({ sent: await c.req.json(), type: c.req.header("content-type") }, 201));
  app.post("/form", async (c) => c.text(String((await c.req.parseBody())["name"])));
  app.get("/cookies", (c) => { setCookie(c, "a", "1", { httpOnly: true }); setCookie(c, "b", "2"); return c.text(getCookie(c, "seen") ?? "never"); });
  app.get("/tagged", (c) => c.text("same"));
  app.get("/staff/room", (c) => c.text("welcome"));
  app.get("/token", async (c) => { const token = await sign({ sub: "ada" }, "k", "HS256"); return c.json({ sub: (await verify(token, "k", "HS256")).sub }); });
  app.get("/stream", (c) => stream(c, async (out) => { await out.write("one "); await out.write("two"); }));
  app.get("/later", (c) => { c.executionCtx.waitUntil(Promise.resolve("done")); return c.redirect("/", 307); });
  app.get("/broken", () => { throw new Error("on purpose"); });
  app.get("/none", (c) => c.body(null, 204));
  export default app;`;

const { outputFiles } = await build({
  stdin: { contents: APP, resolveDir: path.join(import.meta.dirname, "../.."), loader: "ts" },
  bundle: true,
  write: false,
  format: "iife",
  globalName: "honoApp",
  platform: "neutral",
  mainFields: ["module", "main"],
  target: "es2024",
  logLevel: "silent",
});
const web = await createWebContext(`
  ${outputFiles[0]!.text}
  globalThis.waited = [];
  globalThis.ask = async (method, url, headers = {}, body = "") => {
    const req = { method, url: "https://shop.example.com" + url, headers: Object.entries(headers), bytes: async () => new TextEncoder().encode(body) };
    const answer = await web.runFetchHandler(honoApp.default, req, { vars: { theme: "dark" }, secrets: {}, waitUntil: (work) => waited.push(work) }, 1 << 20);
    return { status: answer.status, headers: answer.headers.map((pair) => [...pair]), body: answer.body === null ? null : new TextDecoder().decode(answer.body) };
  };`);
after(() => web.dispose());

interface Answer {
  readonly status: number;
  readonly headers: [string, string][];
  readonly body: string | null;
}
async function ask(...request: unknown[]): Promise<Answer> {
  return (await web.run(`return ask(...${JSON.stringify(request)})`)) as Answer;
}
const header = (answer: Answer, name: string): string[] => answer.headers.filter(([key]) => key === name).map(([, value]) => value);

test("pages, parameters, queries and env", async () => {
  const page = await ask("GET", "/");
  assert.deepEqual([page.status, header(page, "content-type"), page.body], [200, ["text/html; charset=UTF-8"], "<h1>hello</h1>"]);
  const item = await ask("GET", "/api/items/5?q=%C3%A4", { origin: "https://other.example" });
  assert.deepEqual([item.body, header(item, "access-control-allow-origin")], ['{"id":"5","q":"ä","theme":"dark"}', ["*"]]);
});

test("JSON and form bodies are read", async () => {
  const echo = await ask("POST", "/api/echo", { "content-type": "application/json" }, '{"a":[1,"ü"]}');
  assert.deepEqual([echo.status, echo.body], [201, '{"sent":{"a":[1,"ü"]},"type":"application/json"}']);
  assert.equal((await ask("POST", "/form", { "content-type": "application/x-www-form-urlencoded" }, "name=Ada+L")).body, "Ada L");
  const multipart = '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nBen\r\n--b--\r\n';
  assert.equal((await ask("POST", "/form", { "content-type": "multipart/form-data; boundary=b" }, multipart)).body, "Ben");
});

test("every Set-Cookie arrives by itself", async () => {
  const answer = await ask("GET", "/cookies", { cookie: "seen=once" });
  assert.deepEqual([answer.body, header(answer, "set-cookie")], ["once", ["a=1; Path=/; HttpOnly", "b=2; Path=/"]]);
});

test("middleware over crypto and streams: etag, basic auth, JWT, streaming", async () => {
  const first = await ask("GET", "/tagged");
  const tag = header(first, "etag")[0]!;
  assert.match(tag, /^"[0-9a-f]{40}"$/);
  const again = await ask("GET", "/tagged", { "if-none-match": tag });
  assert.deepEqual([again.status, again.body], [304, null]);
  assert.equal((await ask("GET", "/staff/room")).status, 401);
  assert.equal((await ask("GET", "/staff/room", { authorization: `Basic ${btoa("ada:secret")}` })).body, "welcome");
  assert.equal((await ask("GET", "/token")).body, '{"sub":"ada"}');
  assert.equal((await ask("GET", "/stream")).body, "one two");
});

test("redirects, waitUntil, 204, 404 and an app that throws", async () => {
  const later = await ask("GET", "/later");
  assert.deepEqual([later.status, header(later, "location")], [307, ["/"]]);
  assert.deepEqual(await web.run("return Promise.all(waited)"), ["done"]);
  assert.deepEqual(await ask("GET", "/none"), { status: 204, headers: [], body: null });
  assert.equal((await ask("GET", "/nowhere")).status, 404);
  assert.equal((await ask("GET", "/broken")).status, 500);
});
