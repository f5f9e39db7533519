/** Which address of the shop answers what. */
import { createHash, randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { heroPicture, icon, productPicture, wavesPng } from "./artwork.ts";
import { categories, productById, products } from "./catalogue.ts";
import { DOWNLOAD_BYTES, DOWNLOAD_LIMIT_BYTES, downloadChecksum, downloadStream } from "./download.ts";
import { accountPage, categoryPage, checkoutPage, homePage, loginPage, problemPage, productPage, slowPage, thanksPage } from "./pages.ts";
import type { Visit } from "./pages.ts";
import { makeToken, NO_SESSION_COOKIE, passwordFits, safeNext, sessionCookie } from "./session.ts";

export interface Shop {
  /** Signs sessions. */
  readonly key: string;
  /** This process's address. */
  readonly target: string;
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  /** Groups of the path's pattern. */
  readonly groups: readonly string[];
  readonly visit: Visit;
  readonly shop: Shop;
}

type Answer = (call: Call) => void | Promise<void>;

const FORM_LIMIT_BYTES = 16 * 1024;
const SLOW_LIMIT_MS = 60_000;

const asset = (name: string) => readFileSync(join(import.meta.dirname, "..", "assets", name));
const files: Readonly<Record<string, { type: string; body: Buffer }>> = {
  "/assets/shop.css": { type: "text/css; charset=utf-8", body: asset("shop.css") },
  "/assets/shop.js": { type: "text/javascript; charset=utf-8", body: asset("shop.js") },
  "/images/hero.svg": { type: "image/svg+xml", body: Buffer.from(heroPicture()) },
  "/images/icon.svg": { type: "image/svg+xml", body: Buffer.from(icon()) },
  "/images/waves.png": { type: "image/png", body: wavesPng() },
};

function send({ request, response }: Call, status: number, type: string, body: string | Buffer, headers: Record<string, string> = {}): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, { "content-type": type, "content-length": bytes.length, ...headers });
  response.end(request.method === "HEAD" ? undefined : bytes);
}

const html = (call: Call, body: string, status = 200, headers: Record<string, string> = {}) => send(call, status, "text/html; charset=utf-8", body, headers);
const json = (call: Call, value: unknown, status = 200) => send(call, status, "application/json", `${JSON.stringify(value, null, 2)}\n`);
const goTo = (call: Call, location: string, headers: Record<string, string> = {}) =>
  send(call, 303, "text/plain", `see ${location}\n`, { location, ...headers });
const notFound = (call: Call) => html(call, problemPage(call.visit, "Not on our shelves", `There is nothing at ${call.url.pathname}.`), 404);

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  let text = "";
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > FORM_LIMIT_BYTES) throw new RangeError("the form is too large");
  }
  return new URLSearchParams(text);
}

const logIn: Answer = async (call) => {
  const form = await readForm(call.request);
  const name = form.get("name") ?? "";
  if (!passwordFits(name, form.get("password") ?? "")) return html(call, loginPage(call.visit, safeNext(form.get("next")), true), 401);
  goTo(call, safeNext(form.get("next")), { "set-cookie": sessionCookie(makeToken(name, call.shop.key)) });
};

const order: Answer = async (call) => {
  const form = await readForm(call.request);
  const total = Number(form.get("total") ?? "");
  goTo(
    call,
    `/checkout/thanks?order=M-${randomInt(10_000, 100_000)}&name=${encodeURIComponent(form.get("name") ?? "")}`,
    total > 0 ? { "x-order-total": total.toFixed(2) } : {},
  );
};

const slow: Answer = (call) => {
  const waitMs = Math.min(Number(call.url.searchParams.get("ms") ?? "3000") || 0, SLOW_LIMIT_MS);
  const timer = setTimeout(() => html(call, slowPage(call.visit, waitMs)), waitMs);
  call.response.on("close", () => clearTimeout(timer));
};

/** Server-sent events without an end: the time, and what somebody might have put into a basket. */
const events: Answer = ({ response }) => {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  let count = 0;
  const tell = () => {
    const product = products[count % products.length];
    response.write(`id: ${++count}\nevent: sold\ndata: ${JSON.stringify({ product: product?.name, at: new Date().toISOString() })}\n\n`);
  };
  tell();
  const timer = setInterval(tell, 1000);
  response.on("close", () => clearInterval(timer));
};

const download: Answer = (call) => {
  const sizeBytes = Number(call.url.searchParams.get("bytes") ?? DOWNLOAD_BYTES);
  if (!Number.isInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > DOWNLOAD_LIMIT_BYTES)
    return json(call, { error: `bytes must be 0 to ${DOWNLOAD_LIMIT_BYTES}` }, 400);
  if (call.groups[0]) return send(call, 200, "text/plain", `${downloadChecksum(sizeBytes)}  catalogue.bin\n`);
  call.response.writeHead(200, {
    "content-type": "application/octet-stream",
    "content-length": sizeBytes,
    "content-disposition": 'attachment; filename="catalogue.bin"',
  });
  if (call.request.method === "HEAD") return void call.response.end();
  const stream = downloadStream(sizeBytes);
  call.response.on("close", () => stream.destroy());
  stream.pipe(call.response);
};

const upload: Answer = async (call) => {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of call.request as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  json(call, { bytes, sha256: hash.digest("hex") });
};

/** Ways to fail: with a status, without an answer, with a reset, and in the middle of a body. */
const failures: Readonly<Record<string, Answer>> = {
  "500": (call) => html(call, problemPage(call.visit, "The kiln is cold", "The origin failed with 500, as asked."), 500),
  hang: () => undefined,
  reset: ({ request }) => void request.socket.resetAndDestroy(),
  halfway: ({ response }) => {
    response.writeHead(200, { "content-type": "text/plain", "content-length": 1000 });
    response.write("only half of what was promised", () => response.destroy());
  },
};

const whoAmI: Answer = (call) => {
  const { request, shop } = call;
  json(call, { target: shop.target, method: request.method, path: request.url, headers: request.headers });
};

const picture: Answer = (call) => {
  const product = productById(call.groups[0] ?? "");
  if (!product) return notFound(call);
  send(call, 200, "image/svg+xml", productPicture(product), { "cache-control": "public, max-age=3600" });
};

const category: Answer = (call) => {
  const found = categories.find(({ slug }) => slug === call.groups[0]);
  if (found) html(call, categoryPage(call.visit, found));
  else notFound(call);
};

const product: Answer = (call) => {
  const found = productById(call.groups[0] ?? "");
  if (found) html(call, productPage(call.visit, found));
  else notFound(call);
};

const apiProduct: Answer = (call) => {
  const found = productById(call.groups[0] ?? "");
  if (found) json(call, { ...found, target: call.shop.target });
  else json(call, { error: "no such product" }, 404);
};

const account: Answer = (call) => {
  if (call.visit.user) html(call, accountPage(call.visit), 200, { "cache-control": "private, no-store" });
  else html(call, problemPage(call.visit, "Who are you?", "The gateway's login rule did not say who is asking."), 403);
};

const routes: readonly (readonly [method: "GET" | "POST", path: RegExp, answer: Answer])[] = [
  ["GET", /^\/$/, (call) => html(call, homePage(call.visit, "plain"))],
  ["GET", /^\/home-bold$/, (call) => html(call, homePage(call.visit, "bold"))],
  ["GET", /^\/categories\/([a-z]+)$/, category],
  ["GET", /^\/products\/(\d+)$/, product],
  ["GET", /^\/images\/products\/(\d+)\.svg$/, picture],
  ["GET", /^\/login$/, (call) => html(call, loginPage(call.visit, safeNext(call.url.searchParams.get("next")), false))],
  ["POST", /^\/login$/, logIn],
  ["GET", /^\/logout$/, (call) => goTo(call, "/", { "set-cookie": NO_SESSION_COOKIE })],
  ["GET", /^\/account(?:\/orders)?$/, account],
  ["GET", /^\/checkout$/, (call) => html(call, checkoutPage(call.visit))],
  ["POST", /^\/checkout$/, order],
  [
    "GET",
    /^\/checkout\/thanks$/,
    (call) => html(call, thanksPage(call.visit, call.url.searchParams.get("order") ?? "", call.url.searchParams.get("name") ?? "")),
  ],
  ["GET", /^\/api\/products$/, (call) => json(call, { products, target: call.shop.target })],
  ["GET", /^\/api\/products\/(\d+)$/, apiProduct],
  ["GET", /^\/api\/whoami$/, whoAmI],
  ["POST", /^\/api\/upload$/, upload],
  ["GET", /^\/slow$/, slow],
  ["GET", /^\/events$/, events],
  ["GET", /^\/downloads\/catalogue\.bin(\.sha256)?$/, download],
  ["GET", /^\/healthz$/, (call) => send(call, 200, "text/plain", "ok\n")],
  ["GET", /^\/fail\/(500|hang|reset|halfway)$/, (call) => failures[call.groups[0] ?? ""]?.(call)],
];

export async function answer(request: IncomingMessage, response: ServerResponse, shop: Shop): Promise<void> {
  const url = new URL(request.url ?? "/", "http://shop.example.com");
  const user = String(request.headers["x-user"] ?? "");
  const call = { request, response, url, groups: [] as string[], visit: { user, target: shop.target }, shop };
  response.setHeader("x-powered-by", "millrace");
  response.setHeader("x-target", shop.target);
  const file = files[url.pathname];
  if (file) return send(call, 200, file.type, file.body, { "cache-control": "public, max-age=3600" });
  const method = request.method === "HEAD" ? "GET" : request.method;
  for (const [routeMethod, path, run] of routes) {
    const found = method === routeMethod ? path.exec(url.pathname) : null;
    if (!found) continue;
    try {
      return await run({ ...call, groups: found.slice(1) });
    } catch (error) {
      if (response.headersSent || response.destroyed) return void response.destroy();
      return json(call, { error: error instanceof Error ? error.message : String(error) }, 400);
    }
  }
  notFound(call);
}
