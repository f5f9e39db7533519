/** Randomness for simulations: the same on every machine and run. */

/** xoshiro128** (Blackman and Vigna 2018), seeded by splitmix32; uniform in [0, 1). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  let [a, b, c, d] = [next(), next(), next(), next()];
  return () => {
    const turned = Math.imul(b, 5);
    const result = Math.imul((turned << 7) | (turned >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result / 0x1_0000_0000;
  };
}

/** Successes among n trials, by the geometric gaps between them: quick where p is small. */
export function binomial(n: number, p: number, random: () => number): number {
  const logFailure = Math.log1p(-p);
  let [count, at] = [0, 0];
  for (;;) {
    at += Math.floor(Math.log(1 - random()) / logFailure) + 1;
    if (at > n) return count;
    count++;
  }
}

/** A standard normal value (Box and Muller's polar method, one of the pair). */
export function normal(random: () => number): number {
  for (;;) {
    const [x, y] = [2 * random() - 1, 2 * random() - 1];
    const square = x * x + y * y;
    if (square > 0 && square < 1) return x * Math.sqrt((-2 * Math.log(square)) / square);
  }
}
