import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { sleep } from '../../common/async/sleep.ts';
import { formatInstance, makeInstance } from '../../common/instance.ts';
import { type FootprintOptions, startSynapse } from './footprint.ts';
import { cpuPercent, residentMegabytes } from './process-cost.ts';

/** What is measured while instances come and go. */
export interface ChurnOptions extends Pick<FootprintOptions, 'folder' | 'dist' | 'etcdHosts' | 'haproxyPath'> {
  readonly minutes: number;
  /** Instances that come in a second; as many leave. None returns. */
  readonly perSecond: number;
}

/** synapse after a while of changes. */
export interface ChurnSample {
  readonly seconds: number;
  readonly megabytes: number;
}

/** Where the service has this many instances at each moment. */
const present = 50;

/** Lets instances come and go that synapse has never seen before, and reads its memory each half minute. */
export async function measureChurn(options: ChurnOptions) {
  const home = join(options.folder, 'churn');
  const { minutes, perSecond } = options;
  const synapse = await startSynapse(home, options, { services: 1, servers: 1 });
  const etcd = new Etcd3({ hosts: [...options.etcdHosts] });
  const samples: ChurnSample[] = [{ seconds: 0, megabytes: await residentMegabytes(synapse.child.pid) }];
  const cpu = cpuPercent([synapse.child.pid], minutes * 60);
  const begun = performance.now();
  const keys: string[] = [];
  try {
    for (let number = 0; number < minutes * 60 * perSecond; number++) {
      const host = `127.${1 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
      const instance = makeInstance({ name: `changing-${number}`, host, port: 9000 });
      const key = `/bench-footprint${home}/s0/${instance.id}`;
      keys.push(key);
      await etcd.put(key).value(formatInstance(instance));
      const oldest = keys.length > present ? keys.shift() : undefined;
      if (oldest !== undefined) await etcd.delete().key(oldest);
      const due = ((number + 1) / perSecond) * 1_000 - (performance.now() - begun);
      if (due > 0) await sleep(due);
      const seconds = (performance.now() - begun) / 1_000;
      if (seconds < (samples.at(-1)?.seconds ?? 0) + 30) continue;
      samples.push({ seconds, megabytes: await residentMegabytes(synapse.child.pid) });
    }
    return { samples, cpuPercent: (await cpu)[0] ?? Number.NaN };
  } finally {
    etcd.close();
    await synapse.stop();
  }
}
