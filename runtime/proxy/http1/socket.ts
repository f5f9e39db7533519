/**
 * How bytes come from a socket. The one file that touches `net.Socket`'s inside.
 *
 * Plain sockets read into one buffer shared by the whole process (`onread`): no allocation and no stream machinery per
 * read, which is a third of a proxied request's CPU. TLS sockets and whatever else has no handle of its own use `'data'`.
 * Readers are paused in one way only: by returning false from `onBytes`. `resumeReading` lifts that.
 */
import net from "node:net";

export interface WireReceiver {
  /** `length` bytes from the start of `bytes`, a buffer that is reused as soon as this returns. False pauses reading. */
  onBytes(bytes: Buffer, length: number): boolean;
  /** The peer sends nothing more (FIN); it may still read. */
  onEnd(): void;
  /** Everything written has been handed to the system after a write had returned false. */
  onDrain(): void;
  /** Once, at the very end. `error` when the connection broke. */
  onClose(error: Error | null): void;
  /** For connecting sockets. */
  onConnect?(): void;
}

const READ_BUFFER_BYTES = 65536;
/**
 * So often may a buffer be filled to the brim before everyone else has a turn. libuv reads a readable socket 32 times before it looks at
 * the next one: 2 MiB, or 3 ms, for which a hundred small requests would wait behind each large transfer.
 */
const FULL_READS_IN_A_ROW = 4;
/** Every callback runs to its end before the next read, so one buffer serves all connections. */
const sharedBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

/** The part of a libuv stream handle that is used here. */
interface StreamHandle {
  readonly writeQueueSize?: number;
  useUserBuffer?: unknown;
}
type Opened = net.Socket & { _handle: StreamHandle | null };

/**
 * Takes over a socket just accepted by a server with `pauseOnConnect`, and starts reading. The handle moves into a new
 * socket, because `onread` can only be asked for when one is made. The emptied one is destroyed: its server would
 * otherwise count it for ever and `server.close` never end; from here on the server knows nothing of the connection.
 */
export function adoptSocket(accepted: net.Socket, receiver: WireReceiver): net.Socket {
  const handle = (accepted as Opened)._handle;
  if (accepted.constructor !== net.Socket || handle === null || typeof handle.useUserBuffer !== "function") {
    accepted.allowHalfOpen = true;
    return readByEvents(accepted, receiver);
  }
  (accepted as Opened)._handle = null;
  accepted.destroy();
  const options = { handle, allowHalfOpen: true, onread: onread(receiver, () => socket) } as net.SocketConstructorOpts;
  const socket = new net.Socket(options);
  listenTo(socket, receiver);
  // The constructor has begun to read; flowing is what lets 'end' come.
  socket.resume();
  return socket;
}

/** Connects without TLS, and reads by `onread`. */
export function connectSocket(options: net.TcpNetConnectOpts, receiver: WireReceiver): net.Socket {
  const socket: net.Socket = net.connect({ ...options, onread: onread(receiver, () => socket) });
  listenTo(socket, receiver);
  socket.once("connect", () => receiver.onConnect?.());
  socket.resume();
  return socket;
}

/** Any duplex socket (TLS, or one without a handle) by `'data'`. */
export function readByEvents<T extends net.Socket>(socket: T, receiver: WireReceiver): T {
  listenTo(socket, receiver);
  socket.on("data", (bytes: Buffer) => {
    if (!receiver.onBytes(bytes, bytes.length)) socket.pause();
  });
  return socket;
}

/** Reads on after `onBytes` returned false. Bytes come later, never within this call. */
export function resumeReading(socket: net.Socket): void {
  if (!socket.destroyed) socket.resume();
}

/** Bytes handed to `write` that the system has not taken yet; only good for telling progress from none. */
export function unsentBytes(socket: net.Socket): number {
  return socket.writableLength + ((socket as Opened)._handle?.writeQueueSize ?? 0);
}

function onread(receiver: WireReceiver, socket: () => net.Socket): net.OnReadOpts {
  let fullReads = 0;
  return {
    buffer: sharedBuffer,
    callback: (length: number, bytes: Uint8Array) => {
      const goesOn = receiver.onBytes(bytes as Buffer, length);
      if (length < READ_BUFFER_BYTES || ++fullReads < FULL_READS_IN_A_ROW) return goesOn;
      fullReads = 0;
      if (goesOn) setImmediate(resumeReading, socket());
      return false;
    },
  };
}

function listenTo(socket: net.Socket, receiver: WireReceiver): void {
  let broken: Error | null = null;
  socket.on("error", (error) => (broken = error));
  socket.on("end", () => receiver.onEnd());
  socket.on("drain", () => receiver.onDrain());
  socket.on("close", () => receiver.onClose(broken));
}
