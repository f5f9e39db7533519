import { expect, gateway, test } from "sluice/testing";

const gw = await gateway({ rules: "./rule.ts", upstreams: { shop: ({ target }) => `page ${target}` } });
const pages = { plain: "page /", bold: "page /home-bold" };

test("a new visitor is given a variant, the page that belongs to it, and a cookie to remember it", async () => {
  const res = await gw.request("/");
  const cookie = res.headers.getSetCookie()[0] ?? "";
  const variant = /^home-copy=(plain|bold);/.exec(cookie)?.[1] as keyof typeof pages;
  expect(res.text()).toBe(pages[variant]);
  expect(cookie).toMatch("Max-Age=2592000");
  expect(cookie).not.toMatch("Secure");
});

test("a visitor stays with the variant, visit after visit", async () => {
  for (const variant of ["plain", "bold"] as const) {
    for (let visit = 0; visit < 5; visit++) {
      const res = await gw.request("/", { headers: { cookie: `theme=dark; home-copy=${variant}` } });
      expect(res.text()).toBe(pages[variant]);
      expect(res.headers.getSetCookie()).toEqual([]);
    }
  }
});

test("chance decides which one", async () => {
  const given = async (random: number): Promise<string> => {
    const tossed = await gateway({ rules: "./rule.ts", random, upstreams: { shop: ({ target }) => `page ${target}` } });
    return (await tossed.request("/")).text();
  };
  expect([await given(0.1), await given(0.9)].sort()).toEqual([pages.plain, pages.bold]);
});

test("a cookie that nobody has given out counts as none", async () => {
  const res = await gw.request("/", { headers: { cookie: "home-copy=../admin" } });
  expect(res.headers.getSetCookie().length).toBe(1);
});

test("over https the cookie is for https only", async () => {
  const res = await gw.request("https://shop.example.com/");
  expect(res.headers.getSetCookie()[0]).toMatch("; Secure");
});

test("no shared cache keeps a page that depends on a cookie", async () => {
  const res = await gw.request("/");
  expect(res.headers.get("cache-control")).toBe("private, no-cache");
  expect(res.headers.get("vary")).toMatch("cookie");
});

test("other pages are left alone", async () => {
  const res = await gw.request("/categories/cups");
  expect(res.text()).toBe("page /categories/cups");
  expect(res.headers.getSetCookie()).toEqual([]);
});
