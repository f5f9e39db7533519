/** The shop's pages as HTML. */
import type { Category, Product } from "./catalogue.ts";
import { categories, price, products, productsIn } from "./catalogue.ts";

/** What every page knows of the request. */
export interface Visit {
  /** Who is signed in, as the gateway's rule says; "" for nobody. */
  readonly user: string;
  /** Which origin process answers. */
  readonly target: string;
}

export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function page(title: string, visit: Visit, content: string, current = ""): string {
  const links = categories
    .map(({ slug, name }) => `<a href="/categories/${slug}"${slug === current ? ' aria-current="page"' : ""}>${escapeHtml(name)}</a>`)
    .join("");
  const account = visit.user ? `<a href="/account">${escapeHtml(visit.user)}</a><a href="/logout">Sign out</a>` : `<a href="/account">Account</a>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} · Millrace Pottery</title>
<link rel="icon" href="/images/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/shop.css">
<script src="/assets/shop.js" defer></script>
</head>
<body>
<div class="notice">Postage is free this month, and every pot is packed in straw.</div>
<header class="top"><div class="wide">
<a class="brand" href="/"><img src="/images/icon.svg" alt="" width="32" height="32">Millrace</a>
<nav>${links}</nav>
<div class="tools">${account}<a class="basket" href="/checkout">Basket · <span data-basket-count>0</span></a></div>
</div></header>
<main>${content}</main>
<footer class="foot"><div class="wide"><div>Millrace Pottery, at the old mill. Nothing here is really for sale.</div><div>Served by <code>${escapeHtml(visit.target)}</code> · <a href="/api/products">JSON API</a> · <a href="/downloads/catalogue.bin">Catalogue</a></div></div></footer>
</body>
</html>
`;
}

function card(product: Product): string {
  return `<a class="product" href="/products/${product.id}"><img src="/images/products/${product.id}.svg" alt="${escapeHtml(product.name)}" width="400" height="400" loading="lazy"><div><h3>${escapeHtml(product.name)}</h3><span class="price">${price(product.priceCents)}</span><p>${escapeHtml(product.line)}</p></div></a>`;
}

const homeCopy = {
  plain: {
    title: "Pots for every day",
    text: "Thrown by hand in small batches, glazed in six colours, made to be used until the handle comes off.",
    cta: "See the cups",
  },
  bold: {
    title: "Drink from something better",
    text: "Your coffee takes four minutes. The mug should be worth at least that. New from the kiln this week.",
    cta: "Get your mug",
  },
};

export function homePage(visit: Visit, copy: keyof typeof homeCopy): string {
  const { title, text, cta } = homeCopy[copy];
  const featured = ["101", "301", "202", "104"].flatMap((id) => products.filter((product) => product.id === id));
  const tiles = categories
    .map((category) => {
      const picture = productsIn(category.slug)[2] ?? products[0];
      return `<a class="tile" href="/categories/${category.slug}"><img src="/images/products/${picture?.id}.svg" alt=""><div><h3>${escapeHtml(category.name)}</h3><p>${escapeHtml(category.line)}</p></div></a>`;
    })
    .join("");
  return page(
    title,
    visit,
    `<div class="hero ${copy}" data-copy="${copy}"><img src="/images/hero.svg" alt=""><div class="wide"><div class="card"><h1>${title}</h1><p>${text}</p><a class="cta" href="/categories/cups">${cta}</a></div></div></div>
<section><div class="wide"><div class="head"><h2>From the shelf</h2><a href="/categories/vases">All vases</a></div><div class="grid">${featured.map(card).join("")}</div></div></section>
<section class="sand"><div class="wide"><h2>What are you looking for?</h2><div class="tiles">${tiles}</div></div></section>
<section><div class="wide facts"><div><h3>Made in small batches</h3><p>Forty pots a day on two wheels, fired over night with power from the river.</p></div><div><h3>Mended for free</h3><p>Handles come off. Send us both parts, and we put them back together.</p></div><div><h3>Packed in straw</h3><p>No foam, no plastic. The straw goes on the flower bed.</p></div></div></section>`,
  );
}

export function categoryPage(visit: Visit, category: Category): string {
  return page(
    category.name,
    visit,
    `<div class="wide"><p class="crumbs"><a href="/">Home</a> / ${escapeHtml(category.name)}</p></div><section style="padding-top:1rem"><div class="wide"><h1>${escapeHtml(category.name)}</h1><p class="lead">${escapeHtml(category.line)}</p><div class="grid">${productsIn(category.slug).map(card).join("")}</div></div></section>`,
    category.slug,
  );
}

export function productPage(visit: Visit, product: Product): string {
  const category = categories.find(({ slug }) => slug === product.category);
  const others = productsIn(product.category).filter(({ id }) => id !== product.id);
  return page(
    product.name,
    visit,
    `<div class="wide"><p class="crumbs"><a href="/">Home</a> / <a href="/categories/${product.category}">${escapeHtml(category?.name ?? "")}</a> / ${escapeHtml(product.name)}</p>
<div class="detail"><img src="/images/products/${product.id}.svg" alt="${escapeHtml(product.name)}" width="400" height="400"><div><h1>${escapeHtml(product.name)}</h1><p class="price">${price(product.priceCents)}</p><p class="lead">${escapeHtml(product.line)}</p><p>${escapeHtml(product.story)}</p><button data-add="${product.id}">Into the basket</button>
<dl><dt>Glaze</dt><dd>${product.glaze.name}</dd><dt>Size</dt><dd>${product.size}</dd><dt>In stock</dt><dd>${product.stock}</dd><dt>Number</dt><dd>${product.id}</dd></dl></div></div></div>
<section class="sand"><div class="wide"><h2>Next to it on the shelf</h2><div class="grid">${others.map(card).join("")}</div></div></section>`,
    product.category,
  );
}

export function loginPage(visit: Visit, next: string, wrong: boolean): string {
  return page(
    "Sign in",
    visit,
    `<div class="narrow panel"><h1 style="font-size:2rem">Sign in</h1>${wrong ? '<p class="wrong">Name and password do not fit together.</p>' : ""}<form method="post" action="/login"><input type="hidden" name="next" value="${escapeHtml(next)}"><label>Name<input name="name" autocomplete="username" required value="ada"></label><label>Password<input name="password" type="password" autocomplete="current-password" required placeholder="clay"></label><button>Sign in</button></form><p style="color:var(--soft);font-size:.9rem">This is a demonstration: the name is <b>ada</b>, the password is <b>clay</b>.</p></div>`,
  );
}

export function accountPage(visit: Visit): string {
  const orders = [
    ["12 October", "2 × Ferry mug, 1 × Salt dish", "€ 62.00"],
    ["3 August", "1 × Reed vase", "€ 54.00"],
    ["19 May", "4 × Supper bowl", "€ 128.00"],
  ];
  return page(
    "Your account",
    visit,
    `<div class="wide" style="padding:2.6rem 0 4rem"><h1>Hello, ${escapeHtml(visit.user)}</h1><p class="lead">Your orders and the address we send them to.</p><div class="panel"><table><thead><tr><th>Date</th><th>What</th><th>Paid</th></tr></thead><tbody>${orders.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join("")}</tr>`).join("")}</tbody></table></div></div>`,
  );
}

export function checkoutPage(visit: Visit): string {
  return page(
    "Checkout",
    visit,
    `<div class="wide"><p class="crumbs"><a href="/">Home</a> / Checkout</p><h1 style="margin-top:1rem">Checkout</h1><div class="two"><form class="panel" method="post" action="/checkout"><input type="hidden" name="total" data-basket-total><div class="fields"><label>Name<input name="name" required autocomplete="name"></label><label>E-mail<input name="email" type="email" required autocomplete="email"></label></div><label>Street<input name="street" required autocomplete="street-address"></label><div class="fields"><label>Town<input name="town" required autocomplete="address-level2"></label><label>Pay by<select name="payment"><option>Invoice</option><option>Card</option></select></label></div><button>Order now</button></form><aside class="panel"><h2 style="font-size:1.3rem">Your basket</h2><table><tbody data-basket-lines></tbody></table></aside></div></div>`,
  );
}

export function thanksPage(visit: Visit, order: string, name: string): string {
  return page(
    "Thank you",
    visit,
    `<div class="narrow panel" data-basket-clear><h1 style="font-size:2rem">Thank you, ${escapeHtml(name)}</h1><p class="lead">Order <b>${escapeHtml(order)}</b> is in the book. We write when the kiln is open.</p><a class="cta quiet" href="/">Back to the shop</a></div>`,
  );
}

export function slowPage(visit: Visit, waitedMs: number): string {
  return page(
    "Slow page",
    visit,
    `<div class="narrow panel"><h1 style="font-size:2rem">That took a while</h1><p class="lead">The potter answered after ${waitedMs} ms.</p></div>`,
  );
}

export function problemPage(visit: Visit, title: string, text: string): string {
  return page(
    title,
    visit,
    `<div class="narrow panel"><h1 style="font-size:2rem">${escapeHtml(title)}</h1><p class="lead">${escapeHtml(text)}</p><a class="cta quiet" href="/">Back to the shop</a></div>`,
  );
}
