/** FormData (XMLHttpRequest Standard section 4.3). */
import { Blob, contents, File } from "./blob.ts";

export type FormEntry = [name: string, value: string | File];

export class FormData {
  #entries: FormEntry[] = [];

  constructor(form?: unknown) {
    if (form !== undefined) throw new TypeError("FormData: there are no forms here; it takes no argument");
  }
  append(name: string, value: unknown, fileName?: string): void {
    this.#entries.push(entryOf(arguments.length, name, value, fileName));
  }
  set(name: string, value: unknown, fileName?: string): void {
    const entry = entryOf(arguments.length, name, value, fileName);
    const at = this.#entries.findIndex((one) => one[0] === entry[0]);
    if (at < 0) {
      this.#entries.push(entry);
      return;
    }
    this.#entries[at] = entry;
    this.#entries = this.#entries.filter((one, index) => index <= at || one[0] !== entry[0]);
  }
  delete(name: string): void {
    const wanted = usv(name);
    this.#entries = this.#entries.filter((one) => one[0] !== wanted);
  }
  get(name: string): string | File | null {
    const wanted = usv(name);
    return this.#entries.find((one) => one[0] === wanted)?.[1] ?? null;
  }
  getAll(name: string): (string | File)[] {
    const wanted = usv(name);
    return this.#entries.filter((one) => one[0] === wanted).map((one) => one[1]);
  }
  has(name: string): boolean {
    const wanted = usv(name);
    return this.#entries.some((one) => one[0] === wanted);
  }
  *entries(): IterableIterator<FormEntry> {
    for (let at = 0; at < this.#entries.length; at++) yield [...this.#entries[at]!];
  }
  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }
  *values(): IterableIterator<string | File> {
    for (const [, value] of this.entries()) yield value;
  }
  forEach(run: (value: string | File, name: string, data: FormData) => void, thisArgument?: unknown): void {
    for (const [name, value] of this.entries()) Reflect.apply(run, thisArgument, [value, name, this]);
  }
  [Symbol.iterator](): IterableIterator<FormEntry> {
    return this.entries();
  }
  get [Symbol.toStringTag](): string {
    return "FormData";
  }
}

function entryOf(count: number, name: unknown, value: unknown, fileName: unknown): FormEntry {
  if (count < 2) throw new TypeError("FormData: name and value are expected");
  if (!(value instanceof Blob)) {
    if (count > 2) throw new TypeError("FormData: only a Blob takes a file name");
    return [usv(name), usv(value)];
  }
  if (fileName === undefined && value instanceof File) return [usv(name), value];
  const file = new File([value[contents]], fileName === undefined ? "blob" : usv(fileName), {
    type: value.type,
    lastModified: value instanceof File ? value.lastModified : undefined,
  });
  return [usv(name), file];
}

function usv(value: unknown): string {
  return String(value).toWellFormed();
}
