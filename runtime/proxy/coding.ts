/** Content codings (RFC 9110 section 8.4), for bodies that a rule reads. */
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, zstdDecompress } from "node:zlib";
import { GatewayError } from "../errors.ts";

const DECODERS: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify(gunzip),
  "x-gzip": promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
};
/** More codings on one body than anyone means. */
const MAX_CODINGS = 3;

/** The bytes behind `contentEncoding`. At most `limitBytes` come out, whatever went in. */
export async function decodeBody(bytes: Buffer, contentEncoding: string | undefined, limitBytes: number): Promise<Buffer> {
  if (contentEncoding === undefined) return bytes;
  const codings = contentEncoding
    .toLowerCase()
    .split(",")
    .map((coding) => coding.trim())
    .filter((coding) => coding !== "" && coding !== "identity");
  if (codings.length > MAX_CODINGS)
    throw new GatewayError("RULE_EFFECT", `a rule reads a body with ${codings.length} content codings; at most ${MAX_CODINGS} are undone`);
  let decoded = bytes;
  for (const coding of codings.reverse()) {
    const decode = DECODERS[coding];
    if (!decode) throw new GatewayError("RULE_EFFECT", `a rule reads a body coded as "${coding}"; known are ${Object.keys(DECODERS).join(", ")}`);
    try {
      decoded = await decode(decoded, { maxOutputLength: limitBytes });
    } catch (cause) {
      const tooLarge = cause instanceof RangeError;
      throw new GatewayError(
        tooLarge ? "BODY_TOO_LARGE" : "UPSTREAM_MALFORMED",
        tooLarge ? `a rule reads a body of more than ${limitBytes} bytes` : `the body is no valid ${coding}`,
        { cause },
      );
    }
  }
  return decoded;
}
