/** Writing request heads (RFC 9112 section 3). Pure. */
import type { UpstreamRequest } from "../proxy/exchange.ts";

/** Methods that may be sent twice with the effect of once (RFC 9110 section 9.2.2). */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case "GET":
    case "HEAD":
    case "OPTIONS":
    case "TRACE":
    case "PUT":
    case "DELETE":
      return true;
    default:
      return false;
  }
}

/**
 * The whole head with its closing empty line. Content-Length: 0 is said for methods whose content has a meaning
 * (RFC 9110 section 8.6); other requests without a body carry no framing field.
 */
export function requestHead(request: UpstreamRequest): string {
  let head = `${request.method} ${request.target} HTTP/1.1\r\nhost: ${request.authority}\r\n`;
  const list = request.fields.list;
  for (let i = 0; i < list.length; i += 2) head += `${list[i]}: ${list[i + 1]}\r\n`;
  const length = request.body.length;
  if (request.upgradeProtocol !== "") return `${head}connection: upgrade\r\nupgrade: ${request.upgradeProtocol}\r\n\r\n`;
  if (length > 0) return `${head}content-length: ${length}\r\n\r\n`;
  if (length < 0) return `${head}transfer-encoding: chunked\r\n\r\n`;
  const method = request.method;
  if (method === "POST" || method === "PUT" || method === "PATCH") return `${head}content-length: 0\r\n\r\n`;
  return `${head}\r\n`;
}
