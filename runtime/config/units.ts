/** Quantities as configs write them, in the units that the other rooms count in. NaN for anything else. */
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const SIZE = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)$/;
const SHARE = /^(\d+(?:\.\d+)?)%$/;
const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** `"250ms"`, `"2s"`, `"1.5m"` → milliseconds. */
export function durationMs(text: string): number {
  const match = DURATION.exec(text);
  return match ? Number(match[1]) * MS[match[2]!]! : Number.NaN;
}

/** `"64KiB"` → bytes, rounded. */
export function sizeBytes(text: string): number {
  const match = SIZE.exec(text);
  return match ? Math.round(Number(match[1]) * BYTES[match[2]!]!) : Number.NaN;
}

/** `"5%"` → 0.05. Above 100 % is no share. */
export function share(text: string): number {
  const match = SHARE.exec(text);
  const value = match ? Number(match[1]) / 100 : Number.NaN;
  return value <= 1 ? value : Number.NaN;
}
