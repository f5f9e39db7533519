/** A release on its way: what is stored, sent and kept on disk. Its digest is recomputed wherever it arrives. */
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { z } from "zod";
import { releaseDigest, releaseId } from "../compile/identity.ts";
import { PHASES, type Release, type SourceMaps } from "../compile/release.ts";
import type { SharedConfig } from "../config/schema.ts";

export interface ReleasePackage {
  readonly format: 2;
  /** SHA-256 in hex over rules and config; the id is its beginning. */
  readonly digest: string;
  readonly release: Release;
  /** What of the config goes with it, as written. Whether it fits a gateway, that gateway says. */
  readonly config: SharedConfig;
  /** SHA-256 in hex over the source maps, which travel beside it. */
  readonly mapsDigest: string;
  readonly author: string;
  readonly message: string;
  /** Of Git; "" when there is none. */
  readonly commit: string;
  readonly builtUnixMs: number;
  /** A compact JWS over what `statementOf` says, or "". */
  readonly signature: string;
}

const LONGEST_TEXT = 1000;
const RULES_LIMIT = 10_000;
/** As JSON. */
const CONFIG_LIMIT = 4 * 1024 * 1024;
/** Unpacked: code and manifests of the largest release that config may allow. */
const PACKAGE_LIMIT_BYTES = 64 * 1024 * 1024;

const short = z.string().max(LONGEST_TEXT);
const names = z.array(z.string().max(LONGEST_TEXT)).max(RULES_LIMIT);
const Manifest = z.looseObject({
  name: short.min(1),
  order: z.number(),
  when: z.array(z.record(z.string(), z.unknown())),
  phases: z.array(z.enum(PHASES)),
  secrets: names,
  onFailure: z.enum(["closed", "open"]),
  services: names,
  hosts: names,
  readsBody: z.boolean(),
  addsGlobals: z.boolean().optional(),
});
const Package = z.strictObject({
  format: z.literal(2),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  release: z.strictObject({
    id: z.string().regex(/^[0-9a-f]{12}$/),
    format: z.literal(1),
    rules: z.array(z.looseObject({ manifest: Manifest, code: z.string() })).max(RULES_LIMIT),
  }),
  config: z.record(z.string(), z.unknown()),
  mapsDigest: z.string().regex(/^[0-9a-f]{64}$/),
  author: short,
  message: short,
  commit: short,
  builtUnixMs: z.number(),
  signature: z.string().max(4096),
});
const Maps = z.record(z.string(), z.string());

/** What is wrong with it; the reason a gateway gives. */
export class PackageError extends Error {}

export type PackageFacts = Pick<ReleasePackage, "author" | "message" | "commit" | "builtUnixMs">;

export function packageOf(release: Release, config: SharedConfig, maps: SourceMaps, facts: PackageFacts): ReleasePackage {
  return {
    format: 2,
    digest: releaseDigest(release.rules, config),
    release: { ...release, id: releaseId(release.rules, config) },
    config,
    mapsDigest: mapsDigestOf(maps),
    ...facts,
    message: facts.message.slice(0, LONGEST_TEXT),
    author: facts.author.slice(0, LONGEST_TEXT),
    signature: "",
  };
}

/** A stranger's value as a package whose digests hold. Throws a `PackageError`. */
export function readPackage(value: unknown): ReleasePackage {
  const parsed = Package.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new PackageError(`it is no release: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
  }
  const read = parsed.data as unknown as ReleasePackage;
  const configLength = JSON.stringify(read.config).length;
  if (configLength > CONFIG_LIMIT) throw new PackageError(`its config takes ${configLength} characters of JSON, at most ${CONFIG_LIMIT} are taken`);
  const digest = releaseDigest(read.release.rules, read.config);
  if (digest !== read.digest) throw new PackageError(`its content has the digest ${digest.slice(0, 12)}…, it claims ${read.digest.slice(0, 12)}…`);
  const id = releaseId(read.release.rules, read.config);
  if (id !== read.release.id) throw new PackageError(`its content makes it ${id}, it claims to be ${read.release.id}`);
  return read;
}

/** Throws a `PackageError` when they are not those of the package. */
export function readMaps(value: unknown, { mapsDigest }: ReleasePackage): SourceMaps {
  const maps = Maps.safeParse(value);
  if (!maps.success) throw new PackageError("its source maps are none");
  if (mapsDigestOf(maps.data) !== mapsDigest) throw new PackageError("its source maps do not have the digest it claims");
  return maps.data;
}

/** What a signature is about. */
export function statementOf({ digest, mapsDigest, author, message, commit, builtUnixMs }: ReleasePackage): string {
  return JSON.stringify({ format: 1, digest, mapsDigest, author, message, commit, builtUnixMs });
}

function mapsDigestOf(maps: SourceMaps): string {
  const sorted = Object.entries(maps).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex");
}

const zip = promisify(gzip);
const unzip = promisify(gunzip);

export async function pack(value: object): Promise<Buffer> {
  return zip(JSON.stringify(value), { level: 6 });
}

/** Throws a `PackageError` for anything that `pack` did not make. */
export async function unpack(bytes: Uint8Array): Promise<unknown> {
  try {
    return JSON.parse((await unzip(bytes, { maxOutputLength: PACKAGE_LIMIT_BYTES })).toString("utf8")) as unknown;
  } catch (cause) {
    throw new PackageError(`it cannot be read: ${(cause as Error).message}`, { cause });
  }
}
