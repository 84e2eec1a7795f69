import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { type Problem, validate } from '../../../common/config/config.ts';
import { type Log, silentLog } from '../../../common/daemon/log.ts';
import { createLog } from '../../../common/daemon/stderr-log.ts';
import { thisHost } from '../../../common/host.ts';
import { type Instance, makeInstance } from '../../../common/instance.ts';
import type { HaproxyEvent } from '../../../synapse/haproxy/events.ts';
import { type HaproxyConfig, haproxySchema } from '../../../synapse/haproxy/options/config.ts';
import { type ServiceHaproxyConfig, serviceHaproxySchema } from '../../../synapse/haproxy/options/service-config.ts';
import { HaproxyOutput } from '../../../synapse/haproxy/output.ts';
import type { ServiceState } from '../../../synapse/output.ts';
import { haproxySection, type TestHaproxy } from './haproxy.ts';

/** A validated top-level section. */
export function haproxyConfig(value: Record<string, unknown>): HaproxyConfig {
  const problems: Problem[] = [];
  const config = validate(haproxySchema, value, { path: 'haproxy', problems });
  assert.deepEqual(problems, []);
  return config;
}

/** A validated section of a service. */
export function serviceConfig(value: Record<string, unknown>): ServiceHaproxyConfig {
  const problems: Problem[] = [];
  const config = validate(serviceHaproxySchema, value, { path: 'services.test.haproxy', problems });
  assert.deepEqual(problems, []);
  return config;
}

/** An instance on loopback. */
export function instance(port: number, fields: Partial<Instance> = {}): Instance {
  return makeInstance({ host: '127.0.0.1', name: `i${port}`, ...fields, port });
}

/** What a test says about one service: its options and its instances, unknown when undefined. */
export interface TestService {
  readonly config: ServiceHaproxyConfig;
  readonly instances: readonly Instance[] | undefined;
  readonly fromStateFile?: 'cache' | 'previous';
}

/** An output that runs, and what it did. */
export interface RunningOutput {
  readonly output: HaproxyOutput;
  readonly events: HaproxyEvent[];
  /** The whole snapshot; only services that differ from the previous call are named as changed. */
  apply(services: Readonly<Record<string, TestService>>): Promise<void>;
  /** How many reloads it has made. */
  reloads(): number;
  stop(): Promise<void>;
}

/** A configuration with all that traffic in tests needs, for a HAProxy of `testHaproxy`. */
export function testConfig(haproxy: TestHaproxy, more: Record<string, unknown> = {}): HaproxyConfig {
  const own = {
    global: ['maxconn 1000'],
    defaults: ['mode http', 'timeout connect 1s', 'timeout client 10s', 'timeout server 10s'],
    bind_address: '127.0.0.1',
    restart_interval: '100ms',
    reload_timeout: '20s',
  };
  return haproxyConfig(haproxySection(haproxy, { ...own, ...more }));
}

/** Starts HAProxy's output with a configuration. */
export function runOutput(config: HaproxyConfig, log: Log = testLog()): RunningOutput {
  const controller = new AbortController();
  const events: HaproxyEvent[] = [];
  const output = new HaproxyOutput(
    config,
    { log, host: thisHost, onEvent: (event) => events.push(event) },
    controller.signal,
  );
  const running = output.run(controller.signal);
  let before: Readonly<Record<string, TestService>> = {};
  return {
    output,
    events,
    async apply(services) {
      const snapshot = new Map(
        Object.entries(services).map(([name, service]): [string, ServiceState] => [
          name,
          { name, ...service, seenAt: performance.now() },
        ]),
      );
      const dirty = new Set([...Object.keys(before), ...Object.keys(services)]);
      for (const name of dirty) {
        const [old, now] = [before[name], services[name]];
        if (old?.config === now?.config && old?.instances === now?.instances) dirty.delete(name);
      }
      before = services;
      await output.apply(snapshot, dirty);
    },
    reloads: () => events.filter(({ type }) => type === 'reloaded').length,
    async stop() {
      const listeners = getEventListeners(controller.signal, 'abort').length;
      controller.abort();
      await running;
      // However long it has run: each keeps what it refers to.
      assert.ok(listeners <= 10, `${listeners} listeners waited for the end`);
    },
  };
}

function testLog(): Log {
  return process.env.TEST_LOG ? createLog('test', 'debug') : silentLog;
}
