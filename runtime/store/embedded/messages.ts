/** What supervisor and store process say to each other over the IPC channel. */
import type { EmbeddedStatus } from "./server.ts";

export type ToStoreProcess =
  /** dir: where lasting keys are kept; "": nowhere. */
  | { readonly kind: "init"; readonly dir: string; readonly limitBytes: number }
  /** With a socket: the other end of a worker's. */
  | { readonly kind: "pipe" }
  | { readonly kind: "ask" }
  | { readonly kind: "end" };

export type FromStoreProcess =
  | { readonly kind: "ready" }
  /** The process ends by itself. */
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "warn"; readonly text: string }
  | { readonly kind: "status"; readonly status: EmbeddedStatus };

export function readToStoreProcess(message: unknown): ToStoreProcess | null {
  if (!isObject(message)) return null;
  switch (message["kind"]) {
    case "init":
      return typeof message["dir"] === "string" && typeof message["limitBytes"] === "number" ? (message as unknown as ToStoreProcess) : null;
    case "pipe":
    case "ask":
    case "end":
      return { kind: message["kind"] };
    default:
      return null;
  }
}

export function readFromStoreProcess(message: unknown): FromStoreProcess | null {
  if (!isObject(message)) return null;
  switch (message["kind"]) {
    case "ready":
      return { kind: "ready" };
    case "failed":
      return typeof message["reason"] === "string" ? (message as unknown as FromStoreProcess) : null;
    case "warn":
      return typeof message["text"] === "string" ? (message as unknown as FromStoreProcess) : null;
    case "status":
      return isObject(message["status"]) ? (message as unknown as FromStoreProcess) : null;
    default:
      return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
