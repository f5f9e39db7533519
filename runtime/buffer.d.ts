/** Methods that Node's buffers have and its types leave out. They skip the look-up of the encoding's name that `toString("latin1")` does per call. */
declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
    latin1Write(text: string, offset?: number, length?: number): number;
    ucs2Slice(start?: number, end?: number): string;
  }
}
export {};
