/** Gamma, beta and their incomplete relatives, to about 14 digits, in logarithms where values leave the range of doubles. */

const HALF_LOG_2PI = 0.9189385332046727;
/** Below, the argument is moved up by its recurrence; from here on seven terms of Stirling's series (DLMF 5.11.1) err by less than 1e-17. */
const STIRLING_FROM = 10;
const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360_360, 1 / 156];

/** log Γ(x) − ((x − ½) log x − x + ½ log 2π), for x ≥ 10. */
function stirlingTail(x: number): number {
  const square = 1 / (x * x);
  let sum = 0;
  for (let i = STIRLING.length - 1; i >= 0; i--) sum = sum * square + STIRLING[i]!;
  return sum / x;
}

/** log Γ(x) for x > 0. */
export function logGamma(x: number): number {
  let shift = 0;
  let at = x;
  while (at < STIRLING_FROM) shift += Math.log(at++);
  return (at - 0.5) * Math.log(at) - at + HALF_LOG_2PI + stirlingTail(at) - shift;
}

/** log Γ(x + n) − log Γ(x), without losing digits to the difference of two large numbers. */
export function logRising(x: number, n: number): number {
  if (n <= 32 && Number.isInteger(n)) {
    let product = 0;
    for (let i = 0; i < n; i++) product += Math.log(x + i);
    return product;
  }
  if (x < STIRLING_FROM) return logGamma(x + n) - logGamma(x);
  return (x - 0.5) * Math.log1p(n / x) + n * Math.log(x + n) - n + stirlingTail(x + n) - stirlingTail(x);
}

export function logBeta(a: number, b: number): number {
  const [small, large] = a < b ? [a, b] : [b, a];
  return logGamma(small) - logRising(large, small);
}

/** What stands for 0 in a continued fraction (the modified Lentz method: Thompson and Barnett 1986). */
const TINY = 1e-300;
const CLOSE = 1e-16;
const held = (value: number): number => (Math.abs(value) < TINY ? TINY : value);

/** log Q(a, x), the upper regularized incomplete gamma function (DLMF 8.9.2 for large x, 8.11.4 for small). */
export function logGammaQ(a: number, x: number): number {
  if (!(x > 0)) return 0;
  const front = a * Math.log(x) - x - logGamma(a);
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let i = 1; i < 100_000 && term > sum * CLOSE; i++) {
      term *= x / (a + i);
      sum += term;
    }
    return Math.log1p(-Math.min(1, sum * Math.exp(front)));
  }
  let b = x + 1 - a;
  let c = 1 / TINY;
  let d = 1 / held(b);
  let fraction = d;
  for (let i = 1; i < 100_000; i++) {
    const numerator = -i * (i - a);
    b += 2;
    d = 1 / held(numerator * d + b);
    c = held(b + numerator / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < CLOSE * 4) break;
  }
  return front + Math.log(fraction);
}

/** I_x(a, b), the regularized incomplete beta function (DLMF 8.17.22); relative precision also where it is tiny. */
export function incompleteBeta(a: number, b: number, x: number): number {
  if (!(x > 0)) return 0;
  if (x >= 1) return 1;
  // The fraction converges in about the square root of the larger parameter on this side of the mean, and hardly on the other.
  if (x > (a + 1) / (a + b + 2)) return 1 - betaFraction(b, a, 1 - x);
  return betaFraction(a, b, x);
}

function betaFraction(a: number, b: number, x: number): number {
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) - logBeta(a, b)) / a;
  let c = 1;
  let d = 1 / held(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < 100_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / held(1 + even * d);
    c = held(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / held(1 + odd * d);
    c = held(1 + odd / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < CLOSE * 4) break;
  }
  return front * fraction;
}
