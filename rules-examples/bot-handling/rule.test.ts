import { expect, gateway, test } from "sluice/testing";

const gw = await gateway({ rules: "./rule.ts", upstreams: { shop: ({ headers }) => `for ${headers.get("x-bot-class") ?? "a person"}` } });
const ask = (agent: string, path = "/products/101", headers: Record<string, string> = {}) => gw.request(path, { headers: { "user-agent": agent, ...headers } });

const people = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
];
for (const agent of people) {
  test(`a person: ${agent}`, async () => {
    const res = await ask(agent);
    expect(res.status).toBe(200);
    expect(res.text()).toBe("for a person");
  });
}

const welcome: Readonly<Record<string, string>> = {
  "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "search",
  "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)": "search",
  "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)": "search",
  "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)": "preview",
};
for (const [agent, name] of Object.entries(welcome)) {
  test(`welcome, and named "${name}" to the shop: ${agent}`, async () => {
    expect((await ask(agent)).text()).toBe(`for ${name}`);
  });
}

const refused: Readonly<Record<string, 403 | 429>> = {
  "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2)": 403,
  "CCBot/2.0 (https://commoncrawl.org/faq/)": 403,
  "Mozilla/5.0 (compatible; Applebot-Extended/0.1)": 403,
  "sqlmap/1.8#stable (https://sqlmap.org)": 403,
  "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)": 429,
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/140.0.0.0 Safari/537.36": 429,
  "python-requests/2.32.3": 429,
  "SomebodysBot/0.1": 429,
  " ": 403,
};
for (const [agent, status] of Object.entries(refused)) {
  test(`${status}: "${agent}"`, async () => {
    const res = await ask(agent);
    expect(res.status).toBe(status);
    expect(res.headers.get("retry-after")).toBe(status === 429 ? "3600" : null);
    expect(res.headers.get("vary")).toBe("user-agent");
    expect(res.upstreamRequests).toEqual([]);
  });
}

test("403: who gives no name at all", async () => {
  expect((await gw.request("/")).status).toBe(403);
});

test("everybody may read robots.txt, and it comes from here", async () => {
  for (const agent of [people[0]!, "CCBot/2.0", "SomebodysBot/0.1"]) {
    const res = await ask(agent, "/robots.txt");
    expect(res.status).toBe(200);
    expect(res.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(res.text()).toMatch(/^User-agent: CCBot$/m);
    expect(res.upstreamRequests).toEqual([]);
  }
});

test("who is refused for good is told so in robots.txt", async () => {
  const [forever = ""] = (await ask("", "/robots.txt")).text().split("\n\n");
  for (const name of ["GPTBot", "CCBot", "Bytespider", "Google-Extended", "Applebot-Extended", "meta-externalagent", "Amazonbot"]) {
    expect(forever).toMatch(`User-agent: ${name}\n`);
    expect((await ask(`${name}/1.0`)).status).toBe(403);
  }
});

test("the API, pictures and health are for programs", async () => {
  for (const path of ["/api/products", "/images/hero.svg", "/assets/shop.css", "/healthz"]) {
    const res = await ask("curl/8.5.0", path);
    expect(res.status).toBe(200);
    expect(res.hooks).toEqual([]);
  }
});

test("nobody calls themselves a search engine by header", async () => {
  expect((await ask(people[0]!, "/", { "x-bot-class": "search" })).text()).toBe("for a person");
});
