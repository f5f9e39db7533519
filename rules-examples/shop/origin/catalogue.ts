/** What the shop sells. Everything on its pages, in its API and in its pictures comes from here. */

export type Shape = "mug" | "cup" | "bowl" | "dish" | "vase" | "jug" | "plate" | "teapot";

export interface Glaze {
  readonly name: string;
  readonly light: string;
  readonly base: string;
  readonly dark: string;
}

export interface Product {
  readonly id: string;
  readonly name: string;
  readonly category: string;
  readonly shape: Shape;
  readonly glaze: Glaze;
  readonly priceCents: number;
  readonly line: string;
  readonly story: string;
  readonly size: string;
  readonly stock: number;
}

export interface Category {
  readonly slug: string;
  readonly name: string;
  readonly line: string;
}

const glazes = {
  river: { name: "River", light: "#9cc4c9", base: "#4f8f99", dark: "#27565f" },
  oat: { name: "Oat", light: "#f3e9d6", base: "#dcc9a5", dark: "#a98f63" },
  ember: { name: "Ember", light: "#eaa27f", base: "#c8623c", dark: "#84361c" },
  moss: { name: "Moss", light: "#b4bf8c", base: "#7b8a4f", dark: "#48542b" },
  night: { name: "Night", light: "#74809c", base: "#353f5c", dark: "#181e31" },
  milk: { name: "Milk", light: "#fffdf8", base: "#ece7dc", dark: "#b9b1a1" },
} as const satisfies Record<string, Glaze>;

export const categories: readonly Category[] = [
  { slug: "cups", name: "Cups & mugs", line: "For the first coffee and the last tea." },
  { slug: "bowls", name: "Bowls & plates", line: "Made to be used twice a day." },
  { slug: "vases", name: "Vases & jugs", line: "Good with flowers, good without." },
];

export const products: readonly Product[] = [
  {
    id: "101",
    name: "Ferry mug",
    category: "cups",
    shape: "mug",
    glaze: glazes.river,
    priceCents: 2400,
    size: "350 ml",
    stock: 38,
    line: "A wide handle and a rim that stays thin.",
    story:
      "Thrown in one pull and trimmed while it is still soft, so the wall is even from foot to rim. The River glaze breaks to bare clay where your thumb rests.",
  },
  {
    id: "102",
    name: "Harbour cup",
    category: "cups",
    shape: "cup",
    glaze: glazes.milk,
    priceCents: 1800,
    size: "180 ml",
    stock: 64,
    line: "Small, without a handle, for strong coffee.",
    story: "Its double foot keeps the heat away from the fingers. Milk is our quietest glaze: a little grey in winter light, nearly cream in summer.",
  },
  {
    id: "103",
    name: "Kiln mug",
    category: "cups",
    shape: "mug",
    glaze: glazes.ember,
    priceCents: 2600,
    size: "400 ml",
    stock: 21,
    line: "Our largest mug, from the hottest shelf.",
    story: "Ember turns from orange to rust where the flame was strongest. No two leave the kiln alike, and we stopped trying to make them.",
  },
  {
    id: "104",
    name: "Morning teapot",
    category: "cups",
    shape: "teapot",
    glaze: glazes.moss,
    priceCents: 7200,
    size: "900 ml",
    stock: 9,
    line: "Pours without a drop on the table.",
    story: "The spout is cut by hand and tried with water before it is fired. The lid sits deep, so that it stays when you pour with one hand.",
  },
  {
    id: "201",
    name: "Supper bowl",
    category: "bowls",
    shape: "bowl",
    glaze: glazes.oat,
    priceCents: 3200,
    size: "⌀ 19 cm",
    stock: 44,
    line: "Deep enough for soup, wide enough for pasta.",
    story: "The bowl we eat from ourselves. A rolled rim makes it strong, and it stacks close enough for a small cupboard.",
  },
  {
    id: "202",
    name: "Weir plate",
    category: "bowls",
    shape: "plate",
    glaze: glazes.night,
    priceCents: 2900,
    size: "⌀ 26 cm",
    stock: 52,
    line: "A dark plate that makes salad look brave.",
    story: "Pressed over a plaster form and finished on the wheel. The edge is left unglazed: a thin line of warm clay around the dark.",
  },
  {
    id: "203",
    name: "Salt dish",
    category: "bowls",
    shape: "dish",
    glaze: glazes.ember,
    priceCents: 1400,
    size: "⌀ 9 cm",
    stock: 80,
    line: "For salt, rings, or paper clips.",
    story: "Made from the clay that is left when a larger bowl is trimmed. Pinched, not thrown, so each carries the print of a finger.",
  },
  {
    id: "204",
    name: "Breakfast bowl",
    category: "bowls",
    shape: "bowl",
    glaze: glazes.river,
    priceCents: 2700,
    size: "⌀ 15 cm",
    stock: 35,
    line: "Holds its milk to the last spoon.",
    story: "Steep inside and round outside; the spoon always finds the bottom. Safe in dishwasher and microwave.",
  },
  {
    id: "301",
    name: "Reed vase",
    category: "vases",
    shape: "vase",
    glaze: glazes.moss,
    priceCents: 5400,
    size: "24 cm",
    stock: 14,
    line: "Narrow neck, for a few tall stems.",
    story: "Coiled in three parts and joined wet. The neck is narrow enough to hold three tulips upright, the week they usually give up.",
  },
  {
    id: "302",
    name: "Lock jug",
    category: "vases",
    shape: "jug",
    glaze: glazes.oat,
    priceCents: 4800,
    size: "1.2 l",
    stock: 18,
    line: "Water on the table, or peonies.",
    story: "A jug that became a vase at our first summer market and has been sold as both since.",
  },
  {
    id: "303",
    name: "Night vase",
    category: "vases",
    shape: "vase",
    glaze: glazes.night,
    priceCents: 5900,
    size: "28 cm",
    stock: 7,
    line: "Our tallest, in the darkest glaze.",
    story: "Night is three layers fired twice. Hold it to a window and the blue comes up from under the black.",
  },
  {
    id: "304",
    name: "Spring jug",
    category: "vases",
    shape: "jug",
    glaze: glazes.river,
    priceCents: 4600,
    size: "1 l",
    stock: 23,
    line: "A lip that knows when to stop.",
    story: "The lip is pulled last, with a wet finger, in one move. If it drips in the test it goes back into the clay.",
  },
];

const byId = new Map(products.map((product) => [product.id, product]));

export function productById(id: string): Product | undefined {
  return byId.get(id);
}

export function productsIn(slug: string): readonly Product[] {
  return products.filter((product) => product.category === slug);
}

export function price(cents: number): string {
  return `€ ${(cents / 100).toFixed(2)}`;
}
