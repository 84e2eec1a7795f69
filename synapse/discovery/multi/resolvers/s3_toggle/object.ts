import type { S3Client } from '@aws-sdk/client-s3';
import { onAbort } from '../../../../../common/async/abort.ts';
import { type Log, reasonOf } from '../../../../../common/daemon/log.ts';
import { lookupAgents } from '../../../../../common/net/lookup.ts';
import { Poll } from '../../../poll.ts';

/** Where an object is: `s3://BUCKET/KEY`. */
export interface S3Address {
  readonly bucket: string;
  readonly key: string;
}

/** Far more than weights for any number of sources. */
const maxBytes = 64 * 1024;
/** For one read with the SDK's own retries. */
const timeoutMs = 10_000;

/** The address as people write it. */
export function formatS3Address({ bucket, key }: S3Address): string {
  return `s3://${bucket}/${key}`;
}

/** @throws when the value is no such address */
export function readS3Address(value: unknown): S3Address {
  const [, bucket, key] = typeof value === 'string' ? (/^s3:\/\/([A-Za-z0-9][\w.-]+)\/(.+)$/.exec(value) ?? []) : [];
  if (bucket === undefined || key === undefined) throw new Error('must be s3://BUCKET/KEY');
  return { bucket, key };
}

/**
 * Polls an object in S3 for all resolvers that name it. The SDK finds credentials and region: in the environment, a
 * profile, the container or the instance's metadata.
 */
export class S3Poller {
  readonly #address: S3Address;
  readonly #poll: Poll;
  readonly #followers = new Set<(text: string) => void>();
  #client: S3Client | undefined;
  /** What the object held when it was read last; undefined before the first read. */
  #text: string | undefined;

  constructor(address: S3Address, { intervalMs, log }: { readonly intervalMs: number; readonly log: Log }) {
    this.#address = address;
    const options = { what: formatS3Address(address), intervalMs, timeoutMs, log };
    this.#poll = new Poll((signal) => this.#read(signal), options);
  }

  /** Reads the object until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#poll.run(signal).finally(() => this.#client?.destroy());
  }

  /** Calls `onText` with the object's content, at once if it is known and after each read, until `signal` aborts. */
  follow(onText: (text: string) => void, signal: AbortSignal): void {
    this.#followers.add(onText);
    onAbort(signal, () => this.#followers.delete(onText));
    if (this.#text !== undefined) onText(this.#text);
  }

  async #read(signal: AbortSignal): Promise<undefined> {
    const sdk = await import('@aws-sdk/client-s3').catch((error) => {
      throw new Error(`s3_toggle needs the package @aws-sdk/client-s3: ${reasonOf(error)}`);
    });
    this.#client ??= new sdk.S3Client({
      maxAttempts: 3,
      requestHandler: { ...lookupAgents, connectionTimeout: 5_000, requestTimeout: timeoutMs },
      // Other servers with S3's API have no host name for each bucket.
      ...(process.env.AWS_ENDPOINT_URL !== undefined && { forcePathStyle: true }),
    });
    const { bucket, key } = this.#address;
    const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: key });
    const { Body, ContentLength = 0 } = await this.#client.send(command, { abortSignal: signal });
    if (ContentLength > maxBytes) throw new Error(`${ContentLength} bytes: at most ${maxBytes}`);
    this.#text = (await Body?.transformToString()) ?? '';
    for (const onText of this.#followers) onText(this.#text);
  }
}
