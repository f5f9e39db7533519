/** Origins of the claims, in this process. */
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Origin {
  readonly url: string;
  readonly server: Server;
  close(): void;
}

export async function startOrigin(answer: RequestListener): Promise<Origin> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
