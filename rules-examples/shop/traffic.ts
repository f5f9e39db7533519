/** Visitors for the demo: they see what the gateway shows them, and do what people would. What they are moved by is known, so that a report can be held against it. */
import { products } from "./origin/catalogue.ts";

/** How likely a visitor goes on, by what the page showed. */
const looksFurther = { control: 0.5, offer: 0.75 } as const;
const checksOut = { control: 0.4, hurry: 0.3 } as const;
const ORDERS = 0.6;
/** From a search engine right to a product. */
const ENTERS_AT_PRODUCT = 0.25;
const BOTS = 0.08;
const RELOADS = 0.15;
/** The button pressed twice, or the answer lost: one order all the same. */
const SENDS_TWICE = 0.05;
const READS_MS = { least: 100, most: 500 } as const;

const BROWSERS = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
];
const CRAWLERS = [
  "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
  "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
];

/** More at once is a gateway that does not keep up: who comes then goes away again. */
const MAX_AT_ONCE = 200;
const TIMEOUT_MS = 10_000;
const REPORT_MS = 15_000;

export interface TrafficCounts {
  people: number;
  bots: number;
  turnedAway: number;
  requests: number;
  orders: number;
  failed: number;
}

export interface TrafficOptions {
  readonly url: string;
  readonly visitorsPerSecond: number;
  readonly onLine: (line: string) => void;
  /** From 0 up to 1. */
  readonly random?: () => number;
  /** Milliseconds that a visitor reads a page, at most; 500 by default. */
  readonly readsMs?: number;
}

export interface Traffic {
  readonly counts: Readonly<TrafficCounts>;
  /** Resolves when the last visitor has left. */
  stop(): Promise<void>;
}

/** What a perfect report would say: the share of visitors that order, by experiment and variant. */
export function trueShares(): Readonly<Record<"hero-offer" | "product-hurry", Readonly<Record<string, number>>>> {
  const afterProduct = { control: checksOut.control * ORDERS, hurry: checksOut.hurry * ORDERS };
  const average = (afterProduct.control + afterProduct.hurry) / 2;
  return {
    "hero-offer": { control: looksFurther.control * average, offer: looksFurther.offer * average },
    "product-hurry": afterProduct,
  };
}

/** What is true, in sentences. */
export function truth(): string[] {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  return Object.entries(trueShares()).map(([key, { control = 0, ...others }]) => {
    const told = Object.entries(others).map(([variant, share]) => {
      const lift = (share / control - 1) * 100;
      return `${percent(share)} of those who see ${variant} (${lift > 0 ? "+" : "−"}${Math.abs(lift).toFixed(0)} %)`;
    });
    return `${key}: ${percent(control)} of those who see control order, ${told.join(", ")}`;
  });
}

export function startTraffic(options: TrafficOptions): Traffic {
  const { url, visitorsPerSecond, onLine, random = Math.random, readsMs = READS_MS.most } = options;
  const counts: TrafficCounts = { people: 0, bots: 0, turnedAway: 0, requests: 0, orders: 0, failed: 0 };
  const leaving = new AbortController();
  const present = new Set<Promise<void>>();
  const world: World = { url, counts, random, leaving: leaving.signal, readsMs: { least: Math.min(READS_MS.least, readsMs), most: readsMs } };
  let timer: NodeJS.Timeout | undefined;
  const arrive = (): void => {
    // Arrivals that know nothing of each other are so far apart (a Poisson process).
    timer = setTimeout(arrive, (-Math.log(1 - random()) * 1000) / visitorsPerSecond);
    if (present.size >= MAX_AT_ONCE) {
      counts.turnedAway++;
      return;
    }
    const visit: Promise<void> = visited(world).finally(() => present.delete(visit));
    present.add(visit);
  };
  const say = (): void => {
    const { people, bots, requests, orders, failed, turnedAway } = counts;
    const trouble = failed + turnedAway === 0 ? "" : `, ${failed} failed, ${turnedAway} turned away`;
    onLine(`traffic: ${people} visitors, ${bots} bots, ${requests} requests, ${orders} orders${trouble}`);
  };
  const reports = setInterval(say, REPORT_MS);
  arrive();
  return {
    counts,
    async stop() {
      clearTimeout(timer);
      clearInterval(reports);
      leaving.abort();
      await Promise.all(present);
    },
  };
}

interface World {
  readonly url: string;
  readonly counts: TrafficCounts;
  readonly random: () => number;
  readonly leaving: AbortSignal;
  readonly readsMs: { readonly least: number; readonly most: number };
}

/** Somebody comes, and goes. Never rejects: a shop that fails is counted. */
async function visited(world: World): Promise<void> {
  const { counts, random, leaving } = world;
  const isBot = random() < BOTS;
  if (isBot) counts.bots++;
  else counts.people++;
  try {
    await (isBot ? crawl(new Visitor(world, CRAWLERS)) : shop(new Visitor(world, BROWSERS)));
  } catch {
    // Whoever was here when the demo ended has not failed.
    if (!leaving.aborted) counts.failed++;
  }
}

async function shop(visitor: Visitor): Promise<void> {
  if (!visitor.happens(ENTERS_AT_PRODUCT)) {
    let home = await visitor.page("/");
    if (visitor.happens(RELOADS)) home = await visitor.page("/");
    if (!visitor.happens(home.includes('class="offer"') ? looksFurther.offer : looksFurther.control)) return;
    await visitor.page("/categories/cups");
  }
  const pot = visitor.one(products);
  const page = await visitor.page(`/products/${pot.id}`);
  if (!visitor.happens(page.includes('class="hurry"') ? checksOut.hurry : checksOut.control)) return;
  await visitor.page("/checkout");
  if (!visitor.happens(ORDERS)) return;
  const total = (pot.priceCents * (visitor.happens(0.3) ? 2 : 1)) / 100;
  await visitor.order(total);
  if (visitor.happens(SENDS_TWICE)) await visitor.order(total);
}

async function crawl(visitor: Visitor): Promise<void> {
  await visitor.page("/");
  for (let i = 0; i < 5; i++) await visitor.page(`/products/${visitor.one(products).id}`);
}

class Visitor {
  readonly #world: World;
  readonly #userAgent: string;
  readonly #cookies = new Map<string, string>();
  #ordered = false;

  constructor(world: World, userAgents: readonly string[]) {
    this.#world = world;
    this.#userAgent = this.one(userAgents);
  }

  happens(share: number): boolean {
    return this.#world.random() < share;
  }
  one<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.#world.random() * items.length)]!;
  }

  /** Opens a page, and reads it. */
  async page(path: string): Promise<string> {
    const answer = await this.#ask(path, {});
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}`);
    await this.#reads();
    return text;
  }

  async order(total: number): Promise<void> {
    const { counts } = this.#world;
    const answer = await this.#ask("/checkout", { method: "POST", body: new URLSearchParams({ name: "Visitor", total: total.toFixed(2) }) });
    await answer.arrayBuffer();
    if (answer.status !== 303) throw new Error(`the order was answered with ${answer.status}`);
    if (!this.#ordered) counts.orders++;
    this.#ordered = true;
  }

  async #ask(path: string, init: RequestInit): Promise<Response> {
    const { url, counts, leaving } = this.#world;
    counts.requests++;
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(url + path, {
      ...init,
      redirect: "manual",
      headers: { "user-agent": this.#userAgent, accept: "text/html,*/*;q=0.8", ...(cookie === "" ? {} : { cookie }) },
      signal: AbortSignal.any([leaving, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      this.#cookies.set(name, value);
    }
    return answer;
  }

  #reads(): Promise<void> {
    const { readsMs, random, leaving } = this.#world;
    const ms = readsMs.least + random() * (readsMs.most - readsMs.least);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      leaving.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}
