/** One thing that Sluice says of itself, and how it is put to the proof. */

export interface Claim {
  readonly name: string;
  readonly asked: string;
  /** "fresh-clone" installs packages and takes minutes, "soak" takes half an hour: each only when it is asked for. */
  readonly when: "always" | "fresh-clone" | "soak";
  measure(proof: Proof): Promise<Finding>;
}

export interface Proof {
  /** A moment of load instead of minutes, to see that the harness works. What it finds proves nothing. */
  readonly short: boolean;
  readonly say: (line: string) => void;
}

export interface Finding {
  readonly verdict: "holds" | "fails" | "not measured";
  /** One sentence with the figures; for "not measured" the reason and the remedy. */
  readonly measured: string;
}

/** Holds when nothing is wrong; what is wrong stands after the figures. */
export function judged(measured: string, faults: readonly (string | false)[]): Finding {
  const wrong = faults.filter((fault) => fault !== false);
  return wrong.length === 0 ? { verdict: "holds", measured } : { verdict: "fails", measured: `${measured}; WRONG: ${wrong.join("; ")}` };
}
