/** The admin listener's certificates: its own, and those that clients must show (mutual TLS, RFC 8446 section 4.3.2). */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type RequestListener, type Server, type ServerOptions } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { TLSSocket } from "node:tls";
import type { AdminTlsConfig } from "../config/resolved.ts";

export interface AdminServer {
  readonly server: Server;
  /** Is it one of the certificate's DNS names? */
  readonly isOwnName: (host: string) => boolean;
  /** Why the client's certificate is refused; "" when it is good, or none is asked for. */
  readonly certificateFault: (request: IncomingMessage) => string;
  /** Reads the files again. Throws what is wrong with them, leaving what was. */
  readonly renew: (tls: AdminTlsConfig) => void;
}

interface Files {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

export function adminServer(
  tls: AdminTlsConfig | undefined,
  options: ServerOptions & { readonly headersTimeout: number },
  listener: RequestListener,
): AdminServer {
  if (tls === undefined) {
    const nothing = { isOwnName: () => false, certificateFault: () => "", renew: () => undefined };
    return { server: createHttpServer(options, listener), ...nothing };
  }
  const asksClients = tls.clientCaFile !== "";
  const files = read(tls);
  let certificate = new X509Certificate(files.cert);
  const server = createHttpsServer(
    // Clients without a good certificate are told so, and it is noted who they were; a handshake that breaks off tells nobody anything.
    // `headersTimeout` begins after the handshake, whose own deadline would else be 120 s: for that long silence would hold a place among the connections.
    { ...options, ...files, handshakeTimeout: options.headersTimeout, minVersion: "TLSv1.2", requestCert: asksClients, rejectUnauthorized: false },
    listener,
  );
  return {
    server,
    isOwnName: (host) => certificate.checkHost(host) !== undefined,
    certificateFault: ({ socket }) => {
      if (!asksClients || (socket instanceof TLSSocket && socket.authorized)) return "";
      return socket instanceof TLSSocket && socket.getPeerX509Certificate() !== undefined ? String(socket.authorizationError) : "no certificate";
    },
    renew(now) {
      const renewed = read(now);
      const parsed = new X509Certificate(renewed.cert);
      server.setSecureContext({ ...renewed, minVersion: "TLSv1.2" });
      certificate = parsed;
    },
  };
}

function read({ certFile, keyFile, clientCaFile }: AdminTlsConfig): Files {
  const text = (file: string): string => readFileSync(file, "utf8");
  return { cert: text(certFile), key: text(keyFile), ...(clientCaFile === "" ? {} : { ca: text(clientCaFile) }) };
}
