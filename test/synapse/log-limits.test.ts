import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { serviceLogLimit } from '../../common/daemon/limited-log.ts';
import type { Log } from '../../common/daemon/log.ts';
import { createEtcdClient } from '../../common/etcd/client/client.ts';
import { thisHost } from '../../common/host.ts';
import type { CreateHaproxy } from '../../synapse/haproxy-run.ts';
import type { InstanceSet, Publish, SourceContext } from '../../synapse/source.ts';
import { Synapse } from '../../synapse/synapse.ts';
import { namedInstance, plainPolicy, setOf } from '../support/daemons/instance-sets.ts';
import { haproxyConfig, serviceConfig } from '../support/haproxy/haproxy-output.ts';
import { type LogLine, recordingLog } from '../support/process/recording-log.ts';
import { until } from '../support/until.ts';

/** What the parts of one synapse write their lines to. */
interface Parts {
  readonly haproxy: Log;
  readonly context: SourceContext;
  readonly publish: Publish;
  readonly lines: readonly LogLine[];
}

/** A synapse with one service whose source the test controls, and with a HAProxy that does nothing. */
async function start(t: TestContext): Promise<Parts> {
  const { log, lines } = recordingLog();
  let haproxy: Log | undefined;
  let source: { readonly context: SourceContext; readonly publish: Publish } | undefined;
  const createHaproxy: CreateHaproxy = (_, deps) => {
    haproxy = deps.log;
    return {
      reason: null,
      statistics: () => Promise.reject(new Error('no HAProxy runs')),
      sent: () => [],
      apply: async () => [],
      run: (signal: AbortSignal) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
    } as unknown as ReturnType<CreateHaproxy>;
  };
  const create = (context: SourceContext) => (publish: Publish, signal: AbortSignal) => {
    source = { context, publish };
    return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  };
  const policy = { ...plainPolicy, usePreviousBackends: false, maxInstances: 1 };
  const config = serviceConfig({});
  const synapse = new Synapse(
    {
      etcd: { hosts: ['http://127.0.0.1:1'] },
      haproxy: haproxyConfig({ do_writes: false, do_reloads: false, do_socket: false }),
      dns: { nameserver: [], timeout: 3_000, prefer: 'ipv4' },
      services: new Map([['api', { policy, config, discovery: { method: 'controlled', options: {}, create } }]]),
      admin: { listen: false, hosts: [], control_socket: null, control_socket_mode: 0o600 },
      stateFile: undefined,
      initialWaitMs: 10_000,
    },
    { log, createHaproxy, host: thisHost, openEtcd: createEtcdClient },
  );
  const end = new AbortController();
  const done = synapse.run(end.signal);
  t.after(async () => {
    end.abort();
    await done;
  });
  await until(() => source !== undefined);
  source?.publish(setOf());
  await until(() => haproxy !== undefined);
  return { ...(source as NonNullable<typeof source>), haproxy: haproxy as Log, lines };
}

/** As many lines as one message of one service may have; one more for each second that a test takes. */
function assertBounded(lines: readonly LogLine[], written: number, from: number): void {
  const seconds = Math.ceil((performance.now() - from) / 1_000);
  const most = serviceLogLimit.burst + seconds;
  assert.ok(written > most, `the test is too slow to show anything: ${seconds} s`);
  const counts = new Map<string, number>();
  for (const { level, message } of lines)
    counts.set(`${level} ${message}`, (counts.get(`${level} ${message}`) ?? 0) + 1);
  for (const [what, count] of counts) assert.ok(count <= most, `${count} lines: ${what}`);
  assert.ok(
    [...counts.values()].some((count) => count >= serviceLogLimit.burst),
    'nothing was logged',
  );
}

const written = 1_000;

describe('the lines that a registry can make synapse write', () => {
  const logs: readonly (readonly [whose: string, logOf: (parts: Parts) => Log])[] = [
    ["HAProxy's output", ({ haproxy }) => haproxy],
    ["a component of HAProxy's output", ({ haproxy }) => haproxy.child({ component: 'haproxy' })],
    ['a source', ({ context }) => context.log],
    ['what sources share', ({ context }) => context.shared('one', (_, log) => log)],
  ];
  for (const [whose, logOf] of logs) {
    for (const fields of [{}, { service: 'api' }]) {
      for (const level of ['info', 'warn', 'error'] as const) {
        const about = 'service' in fields ? 'a service' : 'none';
        it(`are bounded when ${whose} writes the same ${level} line about ${about} again and again`, async (t) => {
          const parts = await start(t);
          const from = performance.now();
          const log = logOf(parts);
          for (let count = 0; count < written; count += 1) log[level]('it was refused', { ...fields, count });
          assertBounded(parts.lines, written, from);
        });
      }
    }
  }

  const good = namedInstance('10.0.0.1');
  const changes: readonly (readonly [title: string, set: (count: number) => InstanceSet])[] = [
    ['a record comes and goes', (count) => (count % 2 === 0 ? setOf() : setOf(good))],
    [
      'another published configuration is refused',
      (count) => ({ ...setOf(good), published: { where: '/c', value: {}, broken: `no JSON ${count}` } }),
    ],
    [
      'an address that may not be used comes and goes',
      (count) => (count % 2 === 0 ? setOf(good) : setOf(good, namedInstance(`169.254.0.${count % 200}`))),
    ],
    [
      'the limit of instances is exceeded and kept',
      (count) => (count % 2 === 0 ? setOf(good) : setOf(good, namedInstance('10.0.0.2'))),
    ],
    [
      'the last instance leaves and comes back',
      (count) => setOf(...(count % 2 === 0 ? [] : [namedInstance(`10.0.0.${count % 200}`)])),
    ],
  ];
  for (const [title, set] of changes) {
    it(`are bounded when ${title} again and again`, async (t) => {
      const { publish, lines } = await start(t);
      const from = performance.now();
      for (let count = 0; count < written; count += 1) {
        publish({ ...set(count), seenAt: performance.now() });
        await new Promise((resolve) => setImmediate(resolve));
      }
      assertBounded(lines, written / 2, from);
    });
  }
});
