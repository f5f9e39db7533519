/** The shop's pictures, drawn in code: SVG for pots and the hero, a PNG for the pattern of the page's foot. */
import { crc32, deflateSync } from "node:zlib";
import type { Glaze, Product, Shape } from "./catalogue.ts";
import { products } from "./catalogue.ts";

interface Drawing {
  /** The body's outline in a 400 × 400 box that stands on y = 330. */
  readonly body: string;
  /** Parts behind the body (handles, spouts), as strokes. */
  readonly behind: string;
  /** Where one looks into it. */
  readonly mouth: { readonly cx: number; readonly cy: number; readonly rx: number; readonly ry: number };
}

const drawings: Readonly<Record<Shape, Drawing>> = {
  mug: {
    body: "M120 150 C120 250 124 310 140 326 Q200 340 260 326 C276 310 280 250 280 150 Z",
    behind: `<path d="M278 180 C350 172 350 286 268 282" fill="none" stroke="GLAZE" stroke-width="20" stroke-linecap="round"/>`,
    mouth: { cx: 200, cy: 150, rx: 80, ry: 17 },
  },
  cup: { body: "M128 190 C130 270 146 318 162 328 Q200 338 238 328 C254 318 270 270 272 190 Z", behind: "", mouth: { cx: 200, cy: 190, rx: 72, ry: 15 } },
  bowl: { body: "M78 196 C84 276 138 326 162 330 Q200 338 238 330 C262 326 316 276 322 196 Z", behind: "", mouth: { cx: 200, cy: 196, rx: 122, ry: 26 } },
  dish: { body: "M118 256 C122 300 152 324 170 328 Q200 334 230 328 C248 324 278 300 282 256 Z", behind: "", mouth: { cx: 200, cy: 256, rx: 82, ry: 20 } },
  plate: { body: "M52 268 C90 316 150 326 168 328 Q200 332 232 328 C250 326 310 316 348 268 Z", behind: "", mouth: { cx: 200, cy: 268, rx: 148, ry: 36 } },
  vase: {
    body: "M168 84 C174 140 176 150 150 186 C110 240 124 310 158 328 Q200 338 242 328 C276 310 290 240 250 186 C224 150 226 140 232 84 Z",
    behind: "",
    mouth: { cx: 200, cy: 84, rx: 32, ry: 8 },
  },
  jug: {
    body: "M146 112 C158 170 128 210 126 262 C126 304 146 324 162 328 Q200 338 238 328 C254 324 274 304 274 262 C272 210 242 170 254 112 L150 112 Q128 112 118 122 Q136 122 146 136 Z",
    behind: `<path d="M250 136 C330 130 340 250 270 262" fill="none" stroke="GLAZE" stroke-width="17" stroke-linecap="round"/>`,
    mouth: { cx: 198, cy: 112, rx: 56, ry: 12 },
  },
  teapot: {
    body: "M120 196 C92 250 112 312 150 328 Q200 338 250 328 C288 312 308 250 280 196 Q240 172 200 172 Q160 172 120 196 Z",
    behind:
      `<path d="M276 284 C330 282 322 214 352 196" fill="none" stroke="GLAZE" stroke-width="22" stroke-linecap="round"/>` +
      `<path d="M128 212 C50 190 46 300 122 296" fill="none" stroke="GLAZE" stroke-width="16" stroke-linecap="round"/>` +
      `<circle cx="200" cy="150" r="15" fill="GLAZE"/>`,
    mouth: { cx: 200, cy: 186, rx: 62, ry: 14 },
  },
};

function gradients(id: string, glaze: Glaze): string {
  return (
    `<linearGradient id="${id}" x1="0" x2="1"><stop offset="0" stop-color="${glaze.dark}"/><stop offset=".28" stop-color="${glaze.base}"/>` +
    `<stop offset=".5" stop-color="${glaze.light}"/><stop offset=".74" stop-color="${glaze.base}"/><stop offset="1" stop-color="${glaze.dark}"/></linearGradient>`
  );
}

/** One pot, standing on y = 330 around x = 200. */
function pot(id: string, shape: Shape, glaze: Glaze): string {
  const { body, behind, mouth } = drawings[shape];
  const { cx, cy, rx, ry } = mouth;
  const inside =
    shape === "teapot"
      ? `<ellipse cx="${cx}" cy="${cy}" rx="${rx}" ry="${ry}" fill="${glaze.base}" stroke="${glaze.dark}" stroke-width="2"/>`
      : `<ellipse cx="${cx}" cy="${cy}" rx="${rx}" ry="${ry}" fill="${glaze.dark}"/>` +
        `<ellipse cx="${cx}" cy="${cy + ry * 0.28}" rx="${rx * 0.92}" ry="${ry * 0.72}" fill="${glaze.base}" opacity=".75"/>` +
        `<ellipse cx="${cx}" cy="${cy}" rx="${rx}" ry="${ry}" fill="none" stroke="${glaze.light}" stroke-width="3"/>`;
  return (
    `<ellipse cx="206" cy="331" rx="${Math.max(rx, 62) * 1.05}" ry="11" fill="#3b2a1a" opacity=".2"/>` +
    behind.replaceAll("GLAZE", glaze.base) +
    `<path d="${body}" fill="url(#${id})"/>` +
    `<clipPath id="${id}c"><path d="${body}"/></clipPath><g clip-path="url(#${id}c)"><rect x="0" y="306" width="400" height="40" fill="#b98a63" opacity=".55"/>` +
    `<path d="M0 306 q20 7 40 0 t40 0 t40 0 t40 0 t40 0 t40 0 t40 0 t40 0 t40 0 t40 0" fill="${glaze.base}" opacity=".8"/></g>` +
    inside
  );
}

export function productPicture(product: Product): string {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" role="img" aria-label="${product.name}"><defs>${gradients("g", product.glaze)}` +
    `<linearGradient id="w" x2="0" y2="1"><stop stop-color="#f6f1e8"/><stop offset="1" stop-color="#e9dfce"/></linearGradient></defs>` +
    `<rect width="400" height="400" fill="url(#w)"/><rect y="312" width="400" height="88" fill="#dccdb4"/>${pot("g", product.shape, product.glaze)}</svg>`
  );
}

/** A shelf of pots before a window. */
export function heroPicture(): string {
  const shown = ["104", "201", "303", "101", "302"].flatMap((id) => products.find((product) => product.id === id) ?? []);
  const places = [400, 556, 700, 820, 980];
  const pots = shown.map(
    (product, i) =>
      `<g transform="translate(${places[i]} ${product.shape === "vase" ? 62 : 102}) scale(${product.shape === "vase" ? 1.12 : 1})">${pot(`h${i}`, product.shape, product.glaze)}</g>`,
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1320 560" preserveAspectRatio="xMidYMax slice" role="img" aria-label="Pots on a shelf"><defs>` +
    shown.map((product, i) => gradients(`h${i}`, product.glaze)).join("") +
    `<linearGradient id="sky" x2="0" y2="1"><stop stop-color="#dfe9e6"/><stop offset="1" stop-color="#f5ead6"/></linearGradient></defs>` +
    `<rect width="1320" height="560" fill="#e6d9c3"/><g fill="url(#sky)"><rect x="120" y="-20" width="250" height="330" rx="6"/><rect x="386" y="-20" width="250" height="330" rx="6"/></g>` +
    `<path d="M120 250 q90 -60 250 -20 v80 H120 Z M386 240 q120 -40 250 10 v60 H386 Z" fill="#b9c6a4" opacity=".7"/>` +
    `<path d="M700 0 L1120 0 L860 432 L420 432 Z" fill="#fff6df" opacity=".28"/>` +
    `<rect y="432" width="1320" height="26" fill="#a9784d"/><rect y="458" width="1320" height="102" fill="#8c5f3a"/>${pots.join("")}</svg>`
  );
}

export function icon(): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#27565f"/><path d="M8 11h16c0 8-2 12-5 13h-6c-3-1-5-5-5-13Z" fill="#f3e9d6"/></svg>`;
}

/** A small tile of waves as PNG (RFC 2083): 8 bits, grey with alpha. */
export function wavesPng(): Buffer {
  const size = 64;
  const rows: Buffer[] = [];
  for (let y = 0; y < size; y++) {
    const row = Buffer.alloc(1 + size * 2);
    for (let x = 0; x < size; x++) {
      const wave = (y + Math.sin((x / size) * 2 * Math.PI) * 4 + size) % 16;
      row[1 + x * 2] = 255;
      row[2 + x * 2] = wave < 1.6 ? 40 : 0;
    }
    rows.push(row);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 4, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, pngChunk("IHDR", header), pngChunk("IDAT", deflateSync(Buffer.concat(rows))), pngChunk("IEND", Buffer.alloc(0))]);
}

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(data.length, 0);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return chunk;
}
