/** What parcels cost: a Hono app as it would run on any web-standard runtime. Nothing in it knows of Sluice. */
import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { etag } from "hono/etag";
import { html } from "hono/html";
import { HTTPException } from "hono/http-exception";
import { jwt } from "hono/jwt";
import type { JwtVariables } from "hono/jwt";

interface Env {
  readonly Bindings: {
    /** Free from this value of an order on, in euros. */
    readonly freeShippingFrom?: number;
    /** Signs the shop's sessions. */
    readonly jwtKey: string;
  };
}

/** Euros for the first kilogram, and for each further one. */
const RATES: Readonly<Record<string, readonly [first: number, further: number]>> = { de: [4.9, 0.8], at: [7.9, 1.2], fr: [9.9, 1.5] };

const app = new Hono<Env & { Variables: JwtVariables<{ sub: string }> }>().basePath("/hono");

app.use("/rates", etag());
app.get("/rates", (c) => c.json(RATES));

app.get("/", (c) => {
  const country = getCookie(c, "ship-to") ?? "de";
  return c.html(
    html`<!doctype html>
      <html lang="en">
        <title>What a parcel costs</title>
        <h1>What a parcel costs</h1>
        <form action="/hono/quote">
          <input name="country" value="${country}" /> <input name="kg" type="number" min="0" step="0.1" value="1" />
          <button>Tell me</button>
        </form>
      </html>`,
  );
});

app.get("/quote", (c) => {
  const country = (c.req.query("country") ?? "").toLowerCase();
  const euros = price(country, Number(c.req.query("kg")));
  setCookie(c, "ship-to", country, { path: "/hono", httpOnly: true, sameSite: "Lax" });
  return c.json({ country, euros });
});

// For customers who are signed in.
app.use("/quotes", (c, next) => jwt({ secret: c.env.jwtKey, cookie: "session", alg: "HS256" })(c, next));
app.post("/quotes", async (c) => {
  const { parcels } = await c.req.json<{ parcels: { country: string; kg: number; value: number }[] }>();
  const freeFrom = c.env.freeShippingFrom ?? Infinity;
  const quotes = parcels.map(({ country, kg, value }) => (value >= freeFrom ? 0 : price(country, kg)));
  return c.json({ for: c.var.jwtPayload.sub, quotes }, 201);
});

app.notFound((c) => c.json({ error: `nothing at ${c.req.path}` }, 404));
app.onError((error, c) => (error instanceof HTTPException ? error.getResponse() : c.json({ error: "that went wrong" }, 500)));

function price(country: string, kg: number): number {
  const rate = Object.hasOwn(RATES, country) ? RATES[country] : undefined;
  if (rate === undefined || !(kg > 0 && kg <= 30)) throw new HTTPException(400, { message: "a country of ours and up to 30 kg, please" });
  return Math.round((rate[0] + Math.max(0, Math.ceil(kg) - 1) * rate[1]) * 100) / 100;
}

export default app;
