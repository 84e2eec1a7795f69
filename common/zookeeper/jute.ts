/** ZooKeeper's wire format: big-endian numbers, strings and byte arrays behind their length (zookeeper.jute). */
export class JuteWriter {
  readonly #parts: Buffer[] = [];

  int(value: number): this {
    const part = Buffer.alloc(4);
    part.writeInt32BE(value);
    return this.#add(part);
  }

  long(value: bigint): this {
    const part = Buffer.alloc(8);
    part.writeBigInt64BE(value);
    return this.#add(part);
  }

  bool(value: boolean): this {
    return this.#add(Buffer.from([value ? 1 : 0]));
  }

  buffer(value: Buffer): this {
    return this.int(value.length).#add(value);
  }

  string(value: string): this {
    return this.buffer(Buffer.from(value));
  }

  /** Everything so far, with its length in front. */
  frame(): Buffer {
    const body = Buffer.concat(this.#parts);
    const head = Buffer.alloc(4);
    head.writeInt32BE(body.length);
    return Buffer.concat([head, body]);
  }

  #add(part: Buffer): this {
    this.#parts.push(part);
    return this;
  }
}

/** Reads what {@link JuteWriter} writes. Every method throws when the bytes end too early. */
export class JuteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int(): number {
    return this.#take(4).readInt32BE();
  }

  long(): bigint {
    return this.#take(8).readBigInt64BE();
  }

  /** A length of -1 stands for nothing at all. */
  buffer(): Buffer {
    const length = this.int();
    return length < 0 ? Buffer.alloc(0) : this.#take(length);
  }

  string(): string {
    return this.buffer().toString();
  }

  strings(): string[] {
    const count = this.int();
    const list: string[] = [];
    // Not an array of that length: the number comes from the network.
    for (let i = 0; i < count; i++) list.push(this.string());
    return list;
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error(`ZooKeeper sent ${this.#bytes.length} bytes where ${end} were due`);
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }
}

/**
 * Cuts a stream of bytes into frames.
 * @throws when a frame would be larger than `maxFrame` bytes
 */
export function createFramer(maxFrame: number, onFrame: (frame: Buffer) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let size = 0;
  return (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    while (size >= 4) {
      if ((chunks[0] as Buffer).length < 4) chunks = [Buffer.concat(chunks)];
      const length = (chunks[0] as Buffer).readInt32BE();
      if (length < 0 || length > maxFrame) throw new Error(`a frame of ${length} bytes, at most ${maxFrame} are read`);
      if (size < 4 + length) return;
      const all = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      chunks = [all.subarray(4 + length)];
      size -= 4 + length;
      onFrame(all.subarray(4, 4 + length));
    }
  };
}
