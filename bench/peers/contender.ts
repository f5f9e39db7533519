/** What the benchmarks know of a server: whether it is there, what it can do, and how it is set up for a piece of work. */
import type { Server } from "../load/processes.ts";
import type { Work } from "../load/work.ts";

export interface Place {
  /** A folder of its own for config, pid and temporary files. */
  readonly folder: string;
  readonly port: number;
  readonly originPort: number;
}

export interface Contender {
  readonly name: string;
  readonly title: string;
  /** What it hashes with: FNV-1a where its language can say that. */
  readonly hash: string;
  /** How to get it, as a command. */
  readonly install: string;
  installed(): boolean;
  version(): string;
  takesPart(work: Work): boolean;
  /** Writes its config and says how to start it. */
  setUp(work: Work, place: Place): Server;
}
