import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { abortable } from '../../common/async/abort.ts';
import { anyText, mapOf } from '../../common/config/json-values.ts';
import { formatAddress, openSocket } from '../../common/net/socket.ts';
import { checkTlsClient, type TlsClientOptions, tlsClient, tlsClientSchema } from '../../common/net/tls-client.ts';
import { failure, oneLine } from '../../common/reason.ts';
import type { CheckPlugin, CheckTarget } from '../check.ts';

/** The options of the check `grpc`. */
export interface GrpcCheckOptions extends TlsClientOptions {
  readonly service: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly ssl: boolean;
}

/** `grpc` */
export const check: CheckPlugin<GrpcCheckOptions> = {
  description: "Passes when the server's gRPC health service (grpc.health.v1) answers SERVING.",
  schema: {
    service: { doc: 'gRPC service to ask about; empty for the whole server', format: 'string', default: '' },
    metadata: {
      doc: 'request metadata by name; kept out of messages, because it often has a token',
      format: readMetadata,
      json: mapOf(anyText),
      type: 'object',
      default: {},
      sensitive: true,
    },
    ssl: { doc: 'speak TLS', format: 'boolean', default: false },
    ...tlsClientSchema,
  },
  create(options, target) {
    checkTlsClient(options);
    return (signal) => probe(options, target, signal);
  },
};

/**
 * Calls the health service on a connection of its own. It uses node:http2, because a gRPC client cannot cancel a
 * connection attempt to a server that does not answer.
 */
async function probe(options: GrpcCheckOptions, target: CheckTarget, signal: AbortSignal): Promise<void> {
  const names = options.ssl ? await tlsClient(options, target.host) : undefined;
  const socket = await openSocket(target, signal);
  const scheme = names === undefined ? 'http' : 'https';
  const authority = `${scheme}://${formatAddress({ ...target, host: names?.host ?? target.host })}`;
  let session: ClientHttp2Session | undefined;
  try {
    session = connectHttp2(authority, {
      createConnection: () => (names === undefined ? socket : connectTls({ ...names, socket, ALPNProtocols: ['h2'] })),
    });
    await abortable(call(session, socket, options), signal).catch((error) => {
      signal.throwIfAborted();
      throw error instanceof HealthError ? error : failure(`gRPC call to ${formatAddress(target)} failed`, error);
    });
  } finally {
    session?.destroy();
    socket.destroy();
  }
}

/** The server answered, but not SERVING. */
class HealthError extends Error {}

/** HealthCheckResponse.ServingStatus of grpc/health/v1/health.proto. */
const servingStatus = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

/** More than any answer of the health service has, bytes. */
const maxAnswer = 4096;

function call(session: ClientHttp2Session, socket: Socket, options: GrpcCheckOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    session.on('error', reject);
    socket.on('error', reject);
    session.once('close', () => reject(new Error('connection closed')));
    const stream: ClientHttp2Stream = session.request({
      ...options.metadata,
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let headers: IncomingHttpHeaders = {};
    let body = Buffer.alloc(0);
    const addHeaders = (more: IncomingHttpHeaders): void => {
      headers = { ...headers, ...more };
    };
    stream.on('response', addHeaders);
    stream.on('trailers', addHeaders);
    stream.on('data', (chunk: Buffer) => {
      body = Buffer.concat([body, chunk]);
      if (body.length > maxAnswer) reject(new Error('the answer is too long for a health service'));
    });
    stream.on('error', reject);
    stream.on('end', () => {
      try {
        assertServing(headers, body);
        resolve();
      } catch (error) {
        reject(error);
      }
    });
    stream.end(encodeRequest(options.service));
  });
}

function assertServing(headers: IncomingHttpHeaders, body: Buffer): void {
  const http = headers[constants.HTTP2_HEADER_STATUS];
  const code = headers['grpc-status'];
  if (code === undefined) throw new HealthError(`HTTP ${http} without a gRPC status: not a gRPC server?`);
  if (code !== '0') {
    const message = oneLine(decodeMessage(String(headers['grpc-message'] ?? '')));
    throw new HealthError(`gRPC status ${statusName(String(code))}${message === '' ? '' : `: ${message}`}`);
  }
  const status = decodeStatus(body);
  if (status !== 1) throw new HealthError(`health status ${servingStatus[status] ?? status}, expected SERVING`);
}

/** The status codes that a health service uses (grpc/doc/statuscodes.md, health.proto). */
const statusNames: Readonly<Record<string, string>> = {
  '4': 'DEADLINE_EXCEEDED',
  '5': 'NOT_FOUND',
  '7': 'PERMISSION_DENIED',
  '12': 'UNIMPLEMENTED',
  '13': 'INTERNAL',
  '14': 'UNAVAILABLE',
  '16': 'UNAUTHENTICATED',
};

function statusName(code: string): string {
  const name = statusNames[code];
  return name === undefined ? oneLine(code) : `${code} (${name})`;
}

function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A gRPC frame with a HealthCheckRequest: field 1, the service, as a string. */
function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  return Buffer.concat([frame, message]);
}

function varint(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

/** Field 1 of a HealthCheckResponse, an enum; absent means 0. Its values are small enough for one byte. */
function decodeStatus(body: Buffer): number {
  if (body.length < 5 || body[0] !== 0 || body.readUInt32BE(1) !== body.length - 5) {
    throw new HealthError('the answer is not a gRPC message');
  }
  const message = body.subarray(5);
  if (message.length === 0) return 0;
  if (message[0] !== 0x08 || message[1] === undefined) throw new HealthError('the answer is not a HealthCheckResponse');
  return message[1];
}

function readMetadata(value: unknown): void {
  const allowed = 'must be an object of metadata names (lower case) and their values, strings';
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Error(allowed);
  for (const [name, text] of Object.entries(value)) {
    // gRPC over HTTP/2, 'Custom-Metadata'.
    if (!/^[0-9a-z_.-]+$/.test(name) || name.startsWith('grpc-')) throw new Error(`${allowed}; ${name} is not allowed`);
    if (typeof text !== 'string' || !/^[ -~]*$/.test(text))
      throw new Error(`${allowed}; ${name} must be a one-line text`);
  }
}
