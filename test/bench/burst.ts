import { access } from 'node:fs/promises';
import { thisHost } from '../../common/host.ts';
import type { Instance } from '../../common/instance.ts';
import { connectRuntime } from '../../synapse/haproxy/runtime/connection.ts';
import type { ServiceState } from '../../synapse/output.ts';
import { eventually } from '../support/eventually.ts';
import { testHaproxy } from '../support/haproxy/haproxy.ts';
import {
  instance,
  type RunningOutput,
  runOutput,
  serviceConfig,
  testConfig,
} from '../support/haproxy/haproxy-output.ts';

/** The results of one size, in milliseconds. */
export interface BurstResult {
  /** From the start of the output until it is in sync with a HAProxy that has all servers already. */
  readonly inStep: number;
  /** One change: the time until HAProxy has answered, one sample per change, and the processor time, that of the file included. */
  readonly one: { readonly live: readonly number[]; readonly cpu: number };
  /** Many new servers in one service at once: the time until HAProxy has answered. */
  readonly many: readonly { readonly count: number; readonly live: number }[];
  /** The same commands on a bare connection: nothing is decided, compared or read back. */
  readonly floor: readonly { readonly count: number; readonly live: number }[];
  readonly reloads: number;
}

/** Measures the HAProxy side alone, without etcd. */
export async function measureBursts(services: number, perService: number): Promise<BurstResult> {
  const haproxy = await testHaproxy();
  const config = testConfig(haproxy, { global: ['maxconn 200'], reload_timeout: '5m', check_timeout: '5m' });
  const options = serviceConfig({ backend: ['balance roundrobin'] });
  let snapshot = new Map<string, ServiceState>();
  const set = (name: string, instances: readonly Instance[]): void => {
    snapshot = new Map(snapshot).set(name, { name, config: options, instances, seenAt: performance.now() });
  };
  for (let service = 0; service < services; service++) set(`s${service}`, numbered(0, perService));
  let synapse = runOutput(config);
  const all = () => synapse.output.apply(snapshot, new Set(snapshot.keys()));
  /** Milliseconds until HAProxy has answered. */
  const timed = async (service: string, instances: readonly Instance[]): Promise<number> => {
    const begun = performance.now();
    set(service, instances);
    await synapse.output.apply(snapshot, new Set([service]));
    return performance.now() - begun;
  };
  try {
    await all();
    await eventually(() => access(haproxy.file), 300_000);
    await haproxy.start();
    await eventually(() => synced(synapse), 300_000);
    await synapse.stop();
    const start = performance.now();
    synapse = runOutput(config);
    await all();
    await eventually(() => synced(synapse), 300_000);
    const inStep = performance.now() - start;

    const samples: number[] = [];
    const rounds = 100;
    const cpu = process.cpuUsage();
    for (let round = 1; round <= rounds; round++) {
      samples.push(await timed(`s${round % services}`, numbered(0, perService + round)));
    }
    await synapse.stop();
    const { user, system } = process.cpuUsage(cpu);
    synapse = runOutput(config);
    await all();
    await eventually(() => synced(synapse), 300_000);
    const many: { count: number; live: number }[] = [];
    let size = perService + rounds;
    for (const count of bursts) {
      size += count;
      many.push({ count, live: await timed('s0', numbered(0, size)) });
    }
    const reloads = synapse.reloads();
    await synapse.stop();
    const floor: { count: number; live: number }[] = [];
    for (const count of [1, ...bursts]) {
      size += count;
      floor.push({ count, live: await bare(haproxy.socket, numbered(size, count)) });
    }
    return { inStep, one: { live: samples, cpu: (user + system) / 1_000 / rounds }, many, floor, reloads };
  } finally {
    await synapse.stop();
    await haproxy.close();
  }
}

/** The number of servers that are added at once. */
const bursts = [100, 1_000] as const;

/** Adds and opens servers over a bare connection. @returns milliseconds until HAProxy has answered */
async function bare(socket: string, instances: readonly Instance[]): Promise<number> {
  const end = new AbortController();
  try {
    const connection = await connectRuntime(
      socket,
      { connectUnix: thisHost.connectUnix, replyTimeoutMs: 60_000 },
      end.signal,
    );
    const start = performance.now();
    await connection.send(
      instances.flatMap(({ id, host, port }) => [
        `add server s0/${id} ${host}:${port}`,
        `set server s0/${id} state ready`,
      ]),
    );
    return performance.now() - start;
  } finally {
    end.abort();
  }
}

function synced({ output }: RunningOutput): void {
  if (output.status.sockets[0]?.connected !== true) throw new Error('not in step yet');
}

const made = new Map<number, Instance>();

function numbered(first: number, count: number): readonly Instance[] {
  return Array.from({ length: count }, (_, index) => {
    const number = first + index;
    let one = made.get(number);
    if (one === undefined) {
      one = instance(9_000, { name: `i${number}`, host: `127.1.${Math.floor(number / 250)}.${(number % 250) + 1}` });
      made.set(number, one);
    }
    return one;
  });
}
