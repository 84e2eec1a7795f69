import { type IncomingMessage, request } from 'node:http';
import { request as requestTls } from 'node:https';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { parseBoundedJson } from '../bounded-json.ts';
import { isObject } from '../config/formats.ts';
import { oneLine } from '../reason.ts';
import { sharedLookup } from './lookup.ts';
import { type TlsClientOptions, tlsClient } from './tls-client.ts';

/** Where a container engine's API listens: a unix socket, HTTP, or with `tls` HTTPS. */
export type DockerAddress =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly tls?: TlsClientOptions };

/** What to read. */
export interface DockerRequest {
  /** Path in the API, without a version: `/containers/json`. */
  readonly path: string;
  /** The query parameter `filters`, which the API takes as JSON. */
  readonly filters?: Readonly<Record<string, readonly string[]>>;
}

/** The engine answered, but not with status 200. */
export class DockerRefusal extends Error {
  override readonly name = 'DockerRefusal';
  readonly status: number;
  /** The engine's own words in one line, perhaps none: `No such container: api`. */
  readonly explanation: string;

  constructor(path: string, status: number, explanation: string) {
    super(`${path}: status ${status}${explanation === '' ? '' : `: ${explanation}`}`);
    this.status = status;
    this.explanation = explanation;
  }
}

/** How much of an engine's explanation is read, bytes. */
const maxExplanation = 64 << 10;

/**
 * Reads from the API of one container engine (Docker Engine API 1.24 and later, Podman). Each request has a connection of
 * its own, which ends with the response or with the signal: a deadline is part of the caller's signal.
 */
export class DockerClient {
  readonly #address: DockerAddress;

  constructor(address: DockerAddress) {
    this.#address = address;
  }

  /** The address as people write it: the path of the socket, or `HOST:PORT`. */
  get where(): string {
    const address = this.#address;
    return 'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`;
  }

  /**
   * Reads a whole answer.
   * @param maxBytes a larger answer is an error
   * @throws {DockerRefusal} on another status than 200; another error when the engine cannot be reached, or sends no JSON or
   *   one that is nested too deeply
   */
  async json(what: DockerRequest, { maxBytes }: { readonly maxBytes: number }, signal: AbortSignal): Promise<unknown> {
    const text = await readText(await this.stream(what, signal), maxBytes);
    try {
      return parseBoundedJson(text);
    } catch (error) {
      if (error instanceof RangeError) throw new Error(`the engine's answer is ${error.message}`);
      // The parser's own message repeats the text and names no place in it.
      throw new Error("the engine's answer is not JSON");
    }
  }

  /**
   * Opens an answer that goes on; its body ends when `signal` aborts.
   * @throws {DockerRefusal} on another status than 200; another error when the engine cannot be reached
   */
  async stream(what: DockerRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const response = await this.#request(what, signal);
    const { statusCode: status = 0 } = response;
    if (status === 200) return response;
    throw new DockerRefusal(what.path, status, explanationIn(await readText(response, maxExplanation)));
  }

  async #request({ path, filters }: DockerRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const address = this.#address;
    const tls = 'tls' in address && address.tls !== undefined ? await tlsClient(address.tls, address.host) : undefined;
    const { host: name = 'docker', ...tlsOptions } = tls ?? {};
    const options = {
      ...tlsOptions,
      ...('socketPath' in address ? address : { host: address.host, port: address.port }),
      // Node takes the name for SNI from this header, unless it is an address, whatever host it connects to.
      headers: { host: name },
      checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(name, certificate),
      path: filters === undefined ? path : `${path}?filters=${encodeURIComponent(JSON.stringify(filters))}`,
      lookup: sharedLookup,
      agent: false,
      signal,
    };
    return new Promise((resolve, reject) => {
      const outgoing = (tls === undefined ? request : requestTls)(options, resolve);
      outgoing.on('error', reject);
      outgoing.end();
    });
  }
}

async function readText(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early destroys the response.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`the engine's answer has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** An engine's errors are JSON; another server at its address may answer with any text. */
function explanationIn(text: string): string {
  try {
    const body: unknown = parseBoundedJson(text);
    return oneLine(isObject(body) && typeof body.message === 'string' ? body.message : text);
  } catch {
    return oneLine(text);
  }
}
