import { silentLog } from '../../../common/daemon/log.ts';
import type { EtcdClient } from '../../../common/etcd/client/client.ts';
import { createReflector } from '../../../common/etcd/watch/reflector.ts';

/**
 * Records what happens under a prefix from now on: `put api`, `put api down`, `put api 7` (its weight), `delete api`,
 * with the first segment below the prefix as the name.
 */
export async function recordEvents(client: EtcdClient, prefix: string, signal: AbortSignal): Promise<string[]> {
  const seen: string[] = [];
  const reflector = createReflector(client, { log: silentLog }, signal);
  await new Promise<void>((resolve, reject) => {
    const follow = reflector.follow(
      prefix,
      ({ changed, reason }) => {
        if (reason === 'list') return resolve();
        for (const { key, entry } of changed) seen.push(describe(key.slice(prefix.length), entry?.value));
      },
      signal,
    );
    follow.catch(reject);
  });
  return seen;
}

function describe(key: string, value: Buffer | undefined): string {
  const name = key.split('/')[0];
  if (value === undefined) return `delete ${name}`;
  const { state, weight } = JSON.parse(value.toString());
  return ['put', name, state, weight].filter((part) => part !== undefined).join(' ');
}
