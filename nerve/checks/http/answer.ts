import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

/** What a server said. */
export interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: string;
}

/** Where a question goes. */
export interface Channel {
  readonly origin: string;
  readonly channel: Socket;
  readonly signal: AbortSignal;
}

/** How much of a body is searched, bytes. Health pages are short; an endless one must not fill memory. */
const maxBody = 1024 * 1024;

/** As much of it as is looked at. */
export async function readBody(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > maxBody) break;
  }
  return Buffer.concat(chunks).toString();
}
