import assert from "node:assert/strict";
import { test } from "node:test";
import {
  chiSquareTail,
  incompleteBeta,
  logGamma,
  logNormalBelow,
  logRising,
  normalQuantile,
  normalTail,
  studentQuantile,
  studentTwoSided,
} from "../../../runtime/experiments/statistics/statistics.ts";
import { near } from "./near.ts";

test("tails do not underflow where 1 − p would be 0", () => {
  near(chiSquareTail(126, 1), 3.07e-29, 2e-3);
  // SciPy 1.17 for the rest of the digits.
  near(chiSquareTail(126, 1), 3.074832764261238e-29, 1e-12);
  near(normalTail(37), 5.725571222524576e-300, 1e-11);
  near(logNormalBelow(-100), -5005.524208694205, 1e-13);
  near(studentTwoSided(40, 5), 1.8411962171772954e-7, 1e-12);
});

test("the normal law and its inverse are those of the tables, and each other's", () => {
  near(normalTail(1.959963984540054), 0.025, 1e-13);
  near(normalTail(-1), 0.8413447460685429, 1e-14);
  near(normalQuantile(0.025), 1.959963984540054, 1e-13);
  near(normalQuantile(1e-300), 37.0470962993612, 1e-12);
  assert.equal(normalQuantile(0.5), 0);
  for (const tail of [0.4999, 0.3, 0.1, 1e-3, 1e-9, 1e-50]) near(normalTail(normalQuantile(tail)), tail, 1e-11);
  near(normalQuantile(0.975), -1.959963984540054, 1e-13);
});

test("Student's law comes down to Cauchy's at one degree and to the normal at many", () => {
  near(studentTwoSided(1, 1), 0.5, 1e-13);
  near(studentTwoSided(3, 1), (2 / Math.PI) * Math.atan(1 / 3), 1e-12);
  near(studentTwoSided(1.96, 1e7), 2 * normalTail(1.96), 1e-6);
  near(studentQuantile(0.05, 3.3), 3.0248744618408083, 1e-12);
  near(studentTwoSided(studentQuantile(1e-8, 12), 12), 1e-8, 1e-10);
});

test("chi-square with two degrees is exponential, and falls with the statistic for any", () => {
  for (const x of [0.1, 1, 5, 50, 700]) near(chiSquareTail(x, 2), Math.exp(-x / 2), 1e-12);
  for (const degrees of [1, 3, 10]) {
    let last = 1;
    for (let x = 0.5; x < 200; x += 0.5) {
      const tail = chiSquareTail(x, degrees);
      assert.ok(tail < last);
      last = tail;
    }
  }
  assert.equal(chiSquareTail(0, 1), 1);
});

test("gamma and beta are exact where they are known", () => {
  near(logGamma(0.5), Math.log(Math.PI) / 2, 1e-14);
  near(logGamma(11), Math.log(3_628_800), 1e-15);
  near(logGamma(1e6), 12815504.569147611, 1e-15);
  // Γ(a + n)/Γ(a) of large a: the difference of two logarithms near 1e8 would keep 8 digits.
  near(logRising(1e7, 1), Math.log(1e7), 1e-15);
  near(
    logRising(5000, 40),
    Array.from({ length: 40 }, (_, i) => Math.log(5000 + i)).reduce((a, b) => a + b),
    1e-14,
  );
  near(incompleteBeta(2, 3, 0.4), 0.5248, 1e-14);
  near(incompleteBeta(2.5, 1e5, 1e-5), 0.15085842316716488, 1e-12);
  near(incompleteBeta(1e6, 1e6, 0.4999), 0.38864871786231014, 1e-8);
  assert.equal(incompleteBeta(1, 1, 0), 0);
  assert.equal(incompleteBeta(1, 1, 1), 1);
});
