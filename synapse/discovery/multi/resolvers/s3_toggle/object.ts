import type { S3Client } from '@aws-sdk/client-s3';
import { type Log, reasonOf } from '../../../../../common/daemon/log.ts';
import { createPoll } from '../../../poll.ts';

/** Where an object is: `s3://BUCKET/KEY`. */
export interface S3Address {
  readonly bucket: string;
  readonly key: string;
}

/** An object in S3 that is read again and again, for all who name it. */
export interface S3Object {
  /** Calls `onText` with what it holds, at once if that is known and after each time it was read, until `signal` aborts. */
  follow(onText: (text: string) => void, signal: AbortSignal): void;
}

/** Far more than weights for any number of sources. */
const maxBytes = 64 * 1024;
/** For one look with the SDK's own retries, milliseconds. */
const timeout = 10_000;

/** As people write it. */
export function formatS3Address({ bucket, key }: S3Address): string {
  return `s3://${bucket}/${key}`;
}

/** @throws when it is no such address */
export function readS3Address(value: unknown): S3Address {
  const [, bucket, key] = typeof value === 'string' ? (/^s3:\/\/([A-Za-z0-9][\w.-]+)\/(.+)$/.exec(value) ?? []) : [];
  if (bucket === undefined || key === undefined) throw new Error('must be s3://BUCKET/KEY');
  return { bucket, key };
}

/** Reads until `signal` aborts. Credentials and region are found by the SDK: environment, profile, container, metadata. */
export function createS3Object(
  address: S3Address,
  { interval, log }: { readonly interval: number; readonly log: Log },
  signal: AbortSignal,
): S3Object {
  const followers = new Set<(text: string) => void>();
  let client: S3Client | undefined;
  let last: string | undefined;

  const look = async (end: AbortSignal): Promise<undefined> => {
    const sdk = await import('@aws-sdk/client-s3').catch((error) => {
      throw new Error(`s3_toggle needs the package @aws-sdk/client-s3: ${reasonOf(error)}`);
    });
    client ??= new sdk.S3Client({
      maxAttempts: 3,
      requestHandler: { connectionTimeout: 5_000, requestTimeout: timeout },
      // Stand-ins for S3 have no bucket in their host name.
      ...(process.env.AWS_ENDPOINT_URL !== undefined && { forcePathStyle: true }),
    });
    const answer = await client.send(new sdk.GetObjectCommand({ Bucket: address.bucket, Key: address.key }), {
      abortSignal: end,
    });
    if ((answer.ContentLength ?? 0) > maxBytes) throw new Error(`${answer.ContentLength} bytes: at most ${maxBytes}`);
    last = (await answer.Body?.transformToString()) ?? '';
    for (const onText of followers) onText(last);
  };
  const poll = createPoll(look, { what: formatS3Address(address), interval, timeout, log });
  void poll.run(signal).finally(() => client?.destroy());

  return {
    follow(onText, end) {
      followers.add(onText);
      end.addEventListener('abort', () => followers.delete(onText), { once: true });
      if (last !== undefined) onText(last);
    },
  };
}
