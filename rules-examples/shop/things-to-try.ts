/** What the demo prints when it is up. */

interface Trial {
  readonly what: string;
  /** `URL` stands for the gateway, `ADMIN` for the admin listener. */
  readonly how: string;
}

/** Where the demo's gateway keeps the token that its admin listener wants. */
const TOKEN = `${process.env.SHOP_STATE_DIR ?? "rules-examples/shop/.sluice"}/admin-token`;

/** As typed in the checkout. */
function experimentsCommand(words: string, adminUrl: string): string {
  return `SLUICE_ADMIN_TOKEN=$(cat ${TOKEN}) npx sluice experiments ${words} --admin ${adminUrl}`;
}
export function reportCommand(words: string, adminUrl: string): string {
  return experimentsCommand(`report ${words}`, adminUrl);
}

const trials: Readonly<Record<string, readonly Trial[]>> = {
  "In a browser": [
    { what: "the shop; delete the cookie and reload for the other home page", how: "URL/" },
    { what: "log in (ada, clay), then the account area", how: "URL/account" },
    { what: "put a pot into the basket, then check out", how: "URL/products/301" },
  ],
  "Example rules": [
    { what: "redirect map", how: "curl -i 'URL/shop/mugs?from=letter'" },
    { what: "path rewrite", how: "curl -s URL/p/101 | grep '<h1>'" },
    { what: "security headers", how: "curl -sI URL/" },
    { what: "A/B split by cookie", how: "curl -s -H 'cookie: home-copy=bold' URL/ | grep -o '<h1>.*</h1>'" },
    { what: "login by JWT", how: "curl -i URL/account" },
    { what: "a Hono app", how: "curl -i 'URL/hono/quote?country=fr&kg=2.5'" },
    { what: "an error page", how: "curl -i -H 'accept: text/html' URL/fail/reset" },
  ],
  "Two experiments (npm start -- --traffic sends visitors for them)": [
    { what: "the home page of a new visitor: control, or the offer", how: "curl -s -A 'Mozilla/5.0 Firefox/145.0' URL/ | grep -o 'Choose your pot'" },
    { what: "what came of them", how: reportCommand("hero-offer", "ADMIN") },
    { what: "the same as a page", how: reportCommand("product-hurry --html report.html", "ADMIN") },
    { what: "a link that shows one variant, and counts nothing", how: experimentsCommand("force hero-offer offer --url URL/", "ADMIN") },
  ],
  "The gateway": [
    { what: "three targets take turns", how: "for i in 1 2 3; do curl -s URL/api/products/101 | grep target; done" },
    { what: "what the origin sees", how: "curl -s URL/api/whoami" },
    { what: "an event stream without end", how: "curl -N URL/events" },
    { what: "200 MiB, streamed; compare", how: "curl -s URL/downloads/catalogue.bin | sha256sum; curl -s URL/downloads/catalogue.bin.sha256" },
    { what: "an upload, streamed", how: "head -c 50M /dev/zero | curl -s -T - -X POST URL/api/upload" },
    { what: "a slow page", how: "curl -s 'URL/slow?ms=3000' | grep lead" },
    { what: "an origin that fails, resets, hangs", how: "for how in 500 reset hang; do curl -si URL/fail/$how | head -1; done" },
    { what: "a WebSocket echo", how: 'node -e \'let w=new WebSocket("WS/ws");w.onopen=()=>w.send("hi");w.onmessage=m=>{console.log(m.data);w.close()}\'' },
    { what: "metrics, health", how: "curl -s ADMIN/health; curl -s ADMIN/ready" },
  ],
  Then: [
    { what: "edit a rule, save, ask again", how: "rules-examples/security-headers/rule.ts" },
    { what: "break a rule, save, look here and reload", how: "rules-examples/redirect-map/rule.ts" },
    { what: "kill a sandbox; nothing is lost", how: "pkill -9 -f sandbox/process" },
  ],
};

export function thingsToTry(url: string, adminUrl: string): string {
  const lines: string[] = [];
  for (const [title, rows] of Object.entries(trials)) {
    lines.push("", title);
    for (const { what, how } of rows) {
      lines.push(`  ${what}`, `      ${how.replaceAll("URL", url).replaceAll("ADMIN", adminUrl).replaceAll("WS", url.replace("http", "ws"))}`);
    }
  }
  lines.push("", `The shop is open: ${url} (Ctrl-C ends it)`, "");
  return `${lines.join("\n")}\n`;
}
