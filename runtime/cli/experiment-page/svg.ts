/** What plots are drawn with: scales, ticks, escaped text. Pure. */

export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

export interface Scale {
  readonly from: number;
  readonly to: number;
  /** In the drawing's own units. */
  (value: number): number;
}

export function scale(from: number, to: number, start: number, end: number): Scale {
  const span = to === from ? 1 : to - from;
  return Object.assign((value: number) => round(start + ((value - from) / span) * (end - start)), { from, to });
}

/** Round numbers within the span, some `wanted` of them. */
export function ticks(from: number, to: number, wanted: number): number[] {
  const rough = (to - from) / wanted;
  if (!(rough > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  const found: number[] = [];
  for (let tick = Math.ceil(from / step - 1e-9) * step; tick <= to + step * 1e-9 && found.length < 50; tick += step)
    found.push(Math.abs(tick) < step * 1e-9 ? 0 : tick);
  return found;
}

/** Moments that read well: steps of seconds, minutes, hours or days. */
export function timeTicks(from: number, to: number, wanted: number): { readonly atMs: number; readonly text: string }[] {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400].map((seconds) => seconds * 1000);
  const rough = Math.max(1, to - from) / wanted;
  const day = steps.at(-1)!;
  const step = steps.find((candidate) => candidate >= rough) ?? Math.ceil(rough / day) * day;
  const found: { atMs: number; text: string }[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to && found.length < 50; at += step) {
    const iso = new Date(at).toISOString();
    found.push({ atMs: at, text: step >= day ? iso.slice(5, 10) : step >= 60_000 ? iso.slice(11, 16) : iso.slice(11, 19) });
  }
  return found;
}

export function path(points: readonly (readonly [x: number, y: number])[]): string {
  return points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${round(x)} ${round(y)}`).join("");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
