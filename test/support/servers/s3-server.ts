import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Speaks as much of S3 as a reader needs: `GET /BUCKET/KEY` with errors in XML. */
export interface S3Server {
  readonly endpoint: string;
  /** By `BUCKET/KEY`. */
  readonly objects: Map<string, string>;
  /** How often each was asked for. */
  readonly calls: Map<string, number>;
  close(): Promise<void>;
}

/** On a free port of loopback. */
export async function startS3Server(): Promise<S3Server> {
  const objects = new Map<string, string>();
  const calls = new Map<string, number>();
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://s3').pathname.slice(1);
    calls.set(path, (calls.get(path) ?? 0) + 1);
    const object = objects.get(path);
    if (object !== undefined) return response.writeHead(200, { 'content-type': 'text/yaml' }).end(object);
    const body = '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message></Error>';
    return response.writeHead(404, { 'content-type': 'application/xml' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    calls,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
