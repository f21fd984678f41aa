/** Files on their way out: a name and a size before any byte is made, then the bytes part by part. */
import type { ModelFolder } from '../model/folder.ts';

export type Bytes = Uint8Array<ArrayBuffer>;

export interface ExportFile {
  /** With the folders it lies in, separated by slashes. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Made anew at each call; together they are `size` bytes. */
  readonly parts: () => AsyncIterable<Bytes>;
}

export function bytesFile(name: string, bytes: Bytes): ExportFile {
  return {
    name,
    size: bytes.length,
    async *parts() {
      yield bytes;
    },
  };
}

export const textFile = (name: string, text: string): ExportFile => bytesFile(name, new TextEncoder().encode(text));

/** A file of a model folder, as it is. */
export function copiedFile(name: string, folder: ModelFolder): ExportFile[] {
  const file = folder.get(name);
  if (!file) return [];
  return [
    {
      name,
      size: file.size,
      async *parts() {
        yield await file.read(0, file.size);
      },
    },
  ];
}

/** All of a file in memory. */
export async function bytesOf({ size, parts }: ExportFile): Promise<Bytes> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const part of parts()) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
