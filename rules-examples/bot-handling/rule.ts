import { defineRule, respond } from "sluice";

interface BotClass {
  readonly name: string;
  /** Of `User-Agent`. The first class that fits counts. */
  readonly pattern: RegExp;
  /** `"pass"`, or the status that it gets. 403: never; 429: not so often. */
  readonly answer: "pass" | 403 | 429;
}

const CLASSES: readonly BotClass[] = [
  // Empty or missing: no browser does that.
  { name: "nameless", pattern: /^\s*$/, answer: 403 },
  // Looks for holes, not for pots.
  { name: "scanner", pattern: /sqlmap|nikto|nuclei|masscan|zgrab|wpscan|gobuster|dirbuster/i, answer: 403 },
  { name: "training", pattern: /\b(?:GPTBot|CCBot|Bytespider|Google-Extended|Applebot-Extended|meta-externalagent|Amazonbot)\b/i, answer: 403 },
  { name: "search", pattern: /\b(?:Googlebot|bingbot|DuckDuckBot|Applebot|YandexBot|Baiduspider|Qwantbot)\b/i, answer: "pass" },
  { name: "preview", pattern: /\b(?:Twitterbot|facebookexternalhit|LinkedInBot|Slackbot|WhatsApp|TelegramBot)\b/i, answer: "pass" },
  { name: "marketing", pattern: /\b(?:AhrefsBot|SemrushBot|MJ12bot|DotBot|BLEXBot|DataForSeoBot)\b/i, answer: 429 },
  { name: "program", pattern: /^(?:curl|wget|python-requests|python-urllib|aiohttp|go-http-client|java|okhttp|libwww-perl|scrapy|axios|node)\b/i, answer: 429 },
  { name: "crawler", pattern: /bot\b|crawler|spider|scraper|headless/i, answer: 429 },
];
const ASK_AGAIN_S = 3600;

/** What the list above does, said beforehand: those who read it need not be refused (RFC 9309). */
const ROBOTS = `User-agent: GPTBot
User-agent: CCBot
User-agent: Bytespider
User-agent: Google-Extended
User-agent: Applebot-Extended
User-agent: meta-externalagent
User-agent: Amazonbot
Disallow: /

User-agent: AhrefsBot
User-agent: SemrushBot
User-agent: MJ12bot
User-agent: DotBot
User-agent: BLEXBot
User-agent: DataForSeoBot
Crawl-delay: 60
Disallow: /api/

User-agent: *
Disallow: /account
Disallow: /api/
Disallow: /checkout
`;

export default defineRule({
  // Pictures and styles cost nothing, and an API has programs for its callers.
  when: { not: { path: ["/assets/*", "/images/*", "/api/*", "/webhooks/*", "/healthz"] } },
  order: -200,
  // A guess about a name is no reason to close the shop.
  onFailure: "open",
  onRequest(req, ctx) {
    // Also for those who are refused everything else: a crawler that can't read it may take that for a yes (RFC 9309 section 2.3.1.3).
    if (req.path === "/robots.txt") return respond(200, ROBOTS, { "content-type": "text/plain; charset=utf-8", "cache-control": "public, max-age=86400" });

    // Only this rule may say what somebody is.
    req.headers.delete("x-bot-class");
    const agent = req.headers.get("user-agent") ?? "";
    const found = CLASSES.find(({ pattern }) => pattern.test(agent));
    if (found === undefined) return;
    ctx.metric("bots", 1, { class: found.name });
    if (found.answer === 403) return respond(403, "Automated access is not welcome here; see /robots.txt.\n", { vary: "user-agent" });
    if (found.answer === 429) return respond(429, "Too much automated access; see /robots.txt.\n", { "retry-after": String(ASK_AGAIN_S), vary: "user-agent" });
    req.headers.set("x-bot-class", found.name);
  },
});
