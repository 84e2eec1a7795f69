/** Calls `onFrame` after each whole HTTP/2 frame (RFC 9113, section 4.1) in what a server sends. */
export function frameReader(onFrame: (type: number, length: number) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 9) {
      const length = rest.readUIntBE(0, 3);
      if (rest.length < 9 + length) return;
      const type = rest.readUInt8(3);
      rest = rest.subarray(9 + length);
      onFrame(type, length);
    }
  };
}

/** The type of frames that carry messages. */
export const dataFrame = 0;
