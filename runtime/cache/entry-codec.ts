/**
 * Slots as bytes in the store: signature (32), length of the head (u32 little-endian), head as JSON, body. The signature (HMAC-SHA256)
 * covers the key too, so that an entry can't be moved to another place.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { zstdCompress, zstdDecompress } from "node:zlib";
import { z } from "zod";
import { Fields, isFieldValue, isToken } from "../proxy/fields.ts";
import { ownCopy } from "./fill.ts";
import { Entry, Marker, type Slot, Variants } from "./entry.ts";

const SIGNATURE_BYTES = 32;
const HEAD_LENGTH_BYTES = 4;
const MAX_HEAD_BYTES = 256 * 1024;
/** Below it nothing is gained. */
const COMPRESS_FROM_BYTES = 1024;
const COMPRESSIBLE = /^(?:text\/|application\/(?:json|javascript|xml|.*\+(?:json|xml))|image\/svg\+xml)/i;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Thrown for bytes that no gateway with this key wrote. */
export class ForgedError extends Error {}

/** Stored where it was fetched, too large for the store: each worker fetches it for itself. */
export const UNSHARED = "unshared";

const times = z.number().nullable();
const Head = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("entry"),
    key: z.string(),
    status: z.int().min(200).max(599),
    fields: z.array(z.string()),
    freshness: z.object({
      bornAtMs: z.number(),
      freshUntilMs: z.number(),
      staleWhileRevalidateUntilMs: z.number(),
      staleIfErrorUntilMs: times,
      staleAllowed: z.boolean(),
      immutable: z.boolean(),
    }),
    varyNames: z.array(z.string()),
    tags: z.array(z.string()),
    place: z.string(),
    publicPlace: z.string(),
    purgeSequence: z.number(),
    requestAtMs: z.number(),
    length: z.int().min(0),
    coding: z.enum(["", "zstd"]),
  }),
  z.object({ kind: z.literal("marker"), untilMs: z.number(), reason: z.string() }),
  z.object({ kind: z.literal("variants"), names: z.array(z.string()).max(100), salt: z.string() }),
]);
type Head = z.infer<typeof Head>;

export async function encodeSlot(slot: Slot, storeKey: string, signingKey: Buffer, compresses: boolean): Promise<Buffer> {
  if (slot.kind === "marker") return signed({ kind: "marker", untilMs: slot.untilMs, reason: slot.reason }, EMPTY, storeKey, signingKey);
  if (slot.kind === "variants") return signed({ kind: "variants", names: [...slot.names], salt: slot.salt }, EMPTY, storeKey, signingKey);
  const { head, body, freshness } = slot;
  const pays =
    compresses && body.length >= COMPRESS_FROM_BYTES && !head.fields.has("content-encoding") && COMPRESSIBLE.test(head.fields.get("content-type") ?? "");
  const packed = pays ? await compress(body) : body;
  const smaller = packed.length < body.length;
  const { staleIfErrorUntilMs } = freshness;
  return signed(
    {
      kind: "entry",
      key: head.primaryKey,
      status: head.status,
      fields: head.fields.list,
      freshness: { ...freshness, staleIfErrorUntilMs: Number.isFinite(staleIfErrorUntilMs) ? staleIfErrorUntilMs : null },
      varyNames: [...head.varyNames],
      tags: [...head.tags],
      place: head.place,
      publicPlace: head.publicPlace,
      purgeSequence: head.purgeSequence,
      requestAtMs: head.requestAtMs,
      length: body.length,
      coding: smaller ? "zstd" : "",
    },
    smaller ? packed : body,
    storeKey,
    signingKey,
  );
}

function signed(head: Head, body: Buffer, storeKey: string, signingKey: Buffer): Buffer {
  const json = Buffer.from(JSON.stringify(head));
  const bytes = Buffer.allocUnsafeSlow(SIGNATURE_BYTES + HEAD_LENGTH_BYTES + json.length + body.length);
  bytes.writeUInt32LE(json.length, SIGNATURE_BYTES);
  json.copy(bytes, SIGNATURE_BYTES + HEAD_LENGTH_BYTES);
  body.copy(bytes, SIGNATURE_BYTES + HEAD_LENGTH_BYTES + json.length);
  signature(bytes.subarray(SIGNATURE_BYTES), storeKey, signingKey).copy(bytes);
  return bytes;
}

function signature(bytes: Buffer, storeKey: string, signingKey: Buffer): Buffer {
  return createHmac("sha256", signingKey).update(storeKey).update("\n").update(bytes).digest();
}

/** `generation`: of this worker's purges, when the store was asked. Throws `ForgedError`. */
export async function decodeSlot(bytes: Buffer, storeKey: string, signingKey: Buffer, generation: number, maxBytes: number): Promise<Slot> {
  if (bytes.length < SIGNATURE_BYTES + HEAD_LENGTH_BYTES) throw new ForgedError(`${bytes.length} bytes`);
  const rest = bytes.subarray(SIGNATURE_BYTES);
  if (!timingSafeEqual(bytes.subarray(0, SIGNATURE_BYTES), signature(rest, storeKey, signingKey))) throw new ForgedError("another signature");
  const headBytes = rest.readUInt32LE(0);
  if (headBytes > MAX_HEAD_BYTES || HEAD_LENGTH_BYTES + headBytes > rest.length) throw new ForgedError(`a head of ${headBytes} bytes`);
  const head = readHead(rest.toString("utf8", HEAD_LENGTH_BYTES, HEAD_LENGTH_BYTES + headBytes));
  if (head.kind === "marker") return new Marker(head.untilMs, head.reason, generation);
  if (head.kind === "variants") return new Variants(head.names, head.salt);
  if (head.length > maxBytes || !areFields(head.fields)) throw new ForgedError("an entry that can't be");
  const packed = rest.subarray(HEAD_LENGTH_BYTES + headBytes);
  // A copy: the bytes are a part of what was received with much else.
  const body = head.coding === "zstd" ? await decompress(packed, { maxOutputLength: Math.max(1, head.length) }) : ownCopy([packed], packed.length);
  if (body.length !== head.length) throw new ForgedError(`${body.length} of ${head.length} bytes`);
  const { key, fields, freshness, ...more } = head;
  return new Entry(
    {
      primaryKey: key,
      status: more.status,
      fields: new Fields(fields),
      freshness: { ...freshness, staleIfErrorUntilMs: freshness.staleIfErrorUntilMs ?? Infinity },
      varyNames: more.varyNames,
      tags: more.tags,
      place: more.place,
      publicPlace: more.publicPlace,
      purgeSequence: more.purgeSequence,
      requestAtMs: more.requestAtMs,
      generation,
    },
    body,
  );
}

function readHead(json: string): Head {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new ForgedError("a head that is no JSON", { cause });
  }
  const result = Head.safeParse(value);
  if (!result.success) throw new ForgedError("a head of another shape");
  return result.data;
}

function areFields(list: readonly string[]): boolean {
  return list.length % 2 === 0 && list.every((text, i) => (i % 2 === 0 ? isToken(text) && text === text.toLowerCase() : isFieldValue(text)));
}

const EMPTY = Buffer.alloc(0);
