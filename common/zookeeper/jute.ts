/** Writes ZooKeeper's wire format: big-endian numbers; strings and byte arrays after their length (zookeeper.jute). */
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

  /** Everything written so far, after its length. */
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

/** Reads what {@link JuteWriter} writes. Every method throws when the bytes end too early, or a length cannot be. */
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

  /** Bytes after their length; a length of -1 means null and is read as no bytes. */
  buffer(): Buffer {
    const length = this.int();
    if (length < -1) throw new Error(`ZooKeeper sent a text or data of ${length} bytes`);
    return length === -1 ? Buffer.alloc(0) : this.#take(length);
  }

  string(): string {
    return this.buffer().toString();
  }

  strings(): string[] {
    const count = this.int();
    // No list is not an empty list.
    if (count < 0) throw new Error(`ZooKeeper sent a list of ${count} texts`);
    const list: string[] = [];
    // Does not allocate by the count: it comes from the network.
    for (let i = 0; i < count; i++) list.push(this.string());
    return list;
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length)
      throw new Error(`ZooKeeper sent ${this.#bytes.length} bytes where at least ${end} are needed`);
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }
}

/** Splits a stream of bytes into frames. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #onFrame: (frame: Buffer) => void;
  #chunks: Buffer[] = [];
  #size = 0;

  /** `onFrame` gets each frame without its length, synchronously. */
  constructor(maxBytes: number, onFrame: (frame: Buffer) => void) {
    this.#maxBytes = maxBytes;
    this.#onFrame = onFrame;
  }

  /** Adds bytes. @throws when a frame is larger than `maxBytes`, and what `onFrame` throws */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#size >= 4) {
      if ((this.#chunks[0] as Buffer).length < 4) this.#chunks = [Buffer.concat(this.#chunks)];
      const length = (this.#chunks[0] as Buffer).readInt32BE();
      if (length < 0 || length > this.#maxBytes) {
        throw new Error(`a frame of ${length} bytes: at most ${this.#maxBytes} are read`);
      }
      if (this.#size < 4 + length) return;
      const all = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
      this.#chunks = [all.subarray(4 + length)];
      this.#size -= 4 + length;
      this.#onFrame(all.subarray(4, 4 + length));
    }
  }
}
