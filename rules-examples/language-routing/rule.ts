import { defineRule, respond } from "sluice";

/** What the origin has, one folder each; the first is for those who ask for none of them. */
const LANGUAGES = ["en", "de", "fr"] as const;
type Language = (typeof LANGUAGES)[number];

const COOKIE = "language";
const LIFETIME_S = 365 * 24 * 3600;
/** More entries than anyone means; the rest is not read. */
const MAX_RANGES = 20;
/** RFC 9110 section 12.4.2: at most three digits, nothing above 1. */
const QUALITY = /^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i;

interface Chosen {
  language: Language;
}

/** Addresses without a language are served from the folder of the visitor's; those that name one (`/de/…`) stay as they are. */
export default defineRule<Chosen>({
  when: {
    method: ["GET", "HEAD"],
    not: { path: ["/:language(en|de|fr)", "/:language(en|de|fr)/*", "/assets/*", "/images/*", "/api/*"] },
  },
  onRequest(req, ctx) {
    const wish = req.query.get("language");
    if (isLanguage(wish)) {
      req.query.delete("language");
      const query = req.query.toString();
      // "//elsewhere.example" would be another host (RFC 3986 section 4.2), and browsers read "\" as "/".
      const path = req.path.replace(/^[/\\]+/, "/");
      const secure = req.scheme === "https" ? "; Secure" : "";
      return respond(303, undefined, {
        location: query ? `${path}?${query}` : path,
        "set-cookie": `${COOKIE}=${wish}; Path=/; Max-Age=${LIFETIME_S}; SameSite=Lax; HttpOnly${secure}`,
        "cache-control": "no-store",
      });
    }
    const carried = req.cookie(COOKIE);
    const language = isLanguage(carried) ? carried : preferred(req.headers.get("accept-language") ?? "");
    ctx.state.language = language;
    req.path = `/${language}${req.path}`;
  },
  onResponse(res, _req, ctx) {
    const { language } = ctx.state;
    if (language === undefined) return;
    // One address, several pages: caches must know what the choice hung on (RFC 9110 section 12.5.5).
    res.headers.append("vary", "accept-language, cookie");
    if (!res.headers.has("content-language")) res.headers.set("content-language", language);
  },
});

function isLanguage(text: string | null): text is Language {
  return (LANGUAGES as readonly (string | null)[]).includes(text);
}

/** The lookup of RFC 4647 section 3.4: the best range first, `de-AT` served by `de`, `*` by the first that is not refused with `q=0`. */
function preferred(acceptLanguage: string): Language {
  const ranges = acceptLanguage
    .toLowerCase()
    .split(",", MAX_RANGES)
    .map((entry) => {
      const [tag = "", ...parameters] = entry.split(";").map((part) => part.trim());
      const quality = parameters.length === 0 ? "1" : QUALITY.exec(parameters[0] ?? "")?.[1];
      return { tag, quality: Number(quality ?? 0) };
    });
  const refused = new Set(ranges.filter(({ quality }) => quality === 0).map(({ tag }) => tag));
  // Sorting is stable: among equals the one that stands first in the header is meant.
  const wanted = ranges.filter(({ quality }) => quality > 0).sort((a, b) => b.quality - a.quality);
  for (const { tag } of wanted) {
    const found = LANGUAGES.find((language) => (tag === "*" ? !refused.has(language) : tag === language || tag.startsWith(`${language}-`)));
    if (found !== undefined) return found;
  }
  return LANGUAGES[0];
}
