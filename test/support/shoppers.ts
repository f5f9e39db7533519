/** Visitors of a small shop behind a gateway, who retry, refresh and follow redirects; and the shop, which can break one variant. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import http from "node:http";

/** An experiment on the shop's front page. Control and variant differ by a header that the shop sees, and by the page's title. */
export const HERO = `import { defineExperiment, html } from "sluice";

export default defineExperiment({
  key: "hero-copy",
  when: { path: "/" },
  variants: { control: 50, bold: 50 },
  apply: { bold: { html: [html.setText("h1", "Buy it now")], originHeaders: { "x-variant": "bold" } } },
  goals: {
    purchase: { when: { method: "POST", path: "/checkout", status: 302 } },
    revenue: { when: { path: ["/checkout", "/thanks"], status: [200, 302] }, value: { header: "x-total" } },
  },
  guardrails: { errors: { maxIncrease: "1%" } },
});
`;

export interface Shop {
  readonly url: string;
  /** How many of the front pages of "bold" fail, from 0 to 1. */
  brokenShare: number;
  /** Requests that came, by what they ask for. */
  readonly asked: Map<string, number>;
  close(): void;
}

export async function openShop(random: () => number = Math.random): Promise<Shop> {
  const asked = new Map<string, number>();
  const server: Server = createServer((request, response) => {
    const path = request.url!.split("?")[0]!;
    asked.set(`${request.method} ${path}`, (asked.get(`${request.method} ${path}`) ?? 0) + 1);
    const total = new URL(request.url!, "http://shop").searchParams.get("total") ?? "";
    if (path === "/checkout") response.writeHead(302, { location: `/thanks?total=${total}`, "x-total": total }).end();
    else if (path === "/thanks") response.writeHead(200, { "content-type": "text/plain", "x-total": total }).end("thank you");
    else if (request.headers["x-variant"] === "bold" && random() < shop.brokenShare) response.writeHead(500, { "content-type": "text/html" }).end("broken");
    else response.writeHead(200, { "content-type": "text/html", "cache-control": "no-store" }).end("<!doctype html><title>shop</title><h1>Welcome</h1>");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const shop: Shop = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    brokenShare: 0,
    asked,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return shop;
}

export interface Seen {
  readonly status: number;
  readonly text: string;
}

/** One browser: keeps its cookies, and asks again when a connection breaks. */
export class Shopper {
  readonly #base: URL;
  readonly #agent: http.Agent;
  readonly #cookies = new Map<string, string>();
  /** Times that a connection broke before the answer was there. */
  broken = 0;

  constructor(base: string, agent: http.Agent) {
    this.#base = new URL(base);
    this.#agent = agent;
  }

  async ask(method: string, target: string, attempts = 20): Promise<Seen> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(method, target);
      } catch (thrown) {
        this.broken++;
        if (attempt >= attempts) throw thrown;
        await new Promise((resolve) => setTimeout(resolve, 25 * attempt));
      }
    }
  }

  #once(method: string, target: string): Promise<Seen> {
    const cookie = Array.from(this.#cookies, ([name, value]) => `${name}=${value}`).join("; ");
    return new Promise((resolve, reject) => {
      const request = http.request(
        new URL(target, this.#base),
        {
          method,
          agent: this.#agent,
          headers: { ...(cookie === "" ? {} : { cookie }), accept: "text/html", "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0" },
          timeout: 10_000,
        },
        (response) => {
          for (const line of response.headers["set-cookie"] ?? []) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
            this.#cookies.set(name!, value!);
          }
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (piece: string) => (text += piece));
          response.on("end", () => resolve({ status: response.statusCode!, text }));
          response.on("error", reject);
        },
      );
      request.on("timeout", () => request.destroy(new Error("no answer")));
      request.on("error", reject);
      request.end();
    });
  }

  /** Comes, looks again, and perhaps buys: told twice, redirected, and the page after it read again. */
  async shop(total: number | null): Promise<void> {
    await this.ask("GET", "/");
    await this.ask("GET", "/");
    if (total === null) return;
    await this.ask("POST", `/checkout?total=${total}`);
    await this.ask("POST", `/checkout?total=${total}`);
    await this.ask("GET", `/thanks?total=${total}`);
    await this.ask("GET", `/thanks?total=${total}`);
  }
}
