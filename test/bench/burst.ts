import { access } from 'node:fs/promises';
import type { Instance } from '../../common/instance.ts';
import { eventually } from '../support/eventually.ts';
import { testHaproxy } from '../support/haproxy.ts';
import { instance, runOutput, serviceConfig, type TestService, testConfig } from '../support/haproxyoutput.ts';

/** What one size cost. Milliseconds. */
export interface BurstResult {
  /** From starting the output over a HAProxy that is right already, to in step. */
  readonly inStep: number;
  /** One change, median of many: until HAProxy has answered, and processor time with the file's. */
  readonly one: { readonly live: number; readonly cpu: number };
  /** So many new servers in one service at once, until HAProxy has answered. */
  readonly many: readonly { readonly count: number; readonly live: number }[];
  readonly reloads: number;
}

/** Measures the HAProxy side alone, without etcd. */
export async function measureBursts(services: number, perService: number): Promise<BurstResult> {
  const haproxy = await testHaproxy();
  const config = testConfig(haproxy, { global: ['maxconn 200'], reload_timeout: '5m', check_timeout: '5m' });
  const options = serviceConfig({ backend: ['balance roundrobin'] });
  const state: Record<string, TestService> = {};
  for (let service = 0; service < services; service++) {
    state[`s${service}`] = { config: options, instances: numbered(0, perService) };
  }
  let output = runOutput(config);
  try {
    await output.apply({ ...state });
    await eventually(() => access(haproxy.file), 300_000);
    await haproxy.start();
    await eventually(() => synced(output), 300_000);
    await output.stop();
    const start = performance.now();
    output = runOutput(config);
    await output.apply({ ...state });
    await eventually(() => synced(output), 300_000);
    const inStep = performance.now() - start;

    const samples: number[] = [];
    const rounds = 20;
    const cpu = process.cpuUsage();
    for (let round = 1; round <= rounds; round++) {
      samples.push(await timed(output, state, `s${round % services}`, numbered(0, perService + round)));
    }
    await output.stop();
    const { user, system } = process.cpuUsage(cpu);
    output = runOutput(config);
    await output.apply({ ...state });
    await eventually(() => synced(output), 300_000);
    const many: { count: number; live: number }[] = [];
    let size = perService + rounds;
    for (const count of [100, 1_000]) {
      size += count;
      many.push({ count, live: await timed(output, state, 's0', numbered(0, size)) });
    }
    const live = samples.sort((a, b) => a - b)[rounds / 2] ?? Number.NaN;
    return { inStep, one: { live, cpu: (user + system) / 1_000 / rounds }, many, reloads: output.reloads() };
  } finally {
    await output.stop();
    await haproxy.close();
  }
}

async function timed(
  output: ReturnType<typeof runOutput>,
  state: Record<string, TestService>,
  service: string,
  instances: readonly Instance[],
): Promise<number> {
  const start = performance.now();
  state[service] = { ...(state[service] as TestService), instances };
  await output.apply({ ...state });
  return performance.now() - start;
}

function synced({ output }: ReturnType<typeof runOutput>): void {
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
