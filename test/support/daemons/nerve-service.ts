import { makeInstance } from '../../../common/instance.ts';
import type { Check } from '../../../nerve/check.ts';
import type { CheckConfig } from '../../../nerve/config/check-config.ts';
import type { NerveConfig } from '../../../nerve/config/config.ts';
import { noRateLimit } from '../../../nerve/config/rate-limit.ts';
import type { ServiceConfig } from '../../../nerve/config/service-config.ts';

/** A check whose health the test sets. */
export interface HealthSwitch {
  healthy: boolean;
  /** Number of probes so far. */
  probes: number;
  readonly probe: Check;
}

/** A check that passes while `healthy` is true. */
export function healthSwitch(healthy = true): HealthSwitch {
  const self: HealthSwitch = {
    healthy,
    probes: 0,
    probe: async () => {
      self.probes += 1;
      if (!self.healthy) throw new Error('switched off');
    },
  };
  return self;
}

/** A validated service of one or more checks, probed every few milliseconds. */
export function serviceConfig(
  name: string,
  probes: readonly Check[],
  options: Partial<Omit<ServiceConfig, 'checks'>> & {
    readonly port?: number;
    readonly check?: Partial<CheckConfig>;
  } = {},
): ServiceConfig {
  const { port = 80, check, ...rest } = options;
  const instance = makeInstance({ name: 'i-1', host: '10.0.0.1', port });
  const target = { service: name, host: instance.host, port };
  return {
    name,
    service: name,
    key: `/nerve/services/${name}/${instance.id}`,
    instance,
    etcdHosts: null,
    mocked: false,
    rateLimit: noRateLimit,
    ...rest,
    checks: probes.map((probe, i) => ({
      type: 'switch',
      name: `switch-${i}`,
      target,
      timeoutMs: 1000,
      rise: 1,
      fall: 1,
      intervalMs: 5,
      fastIntervalMs: 5,
      jitter: 0,
      options: {},
      probe,
      ...check,
    })),
  };
}

/** A validated configuration with these services. */
export function nerveConfig(services: readonly ServiceConfig[], options: Partial<NerveConfig> = {}): NerveConfig {
  return {
    instanceId: 'i-1',
    etcd: { hosts: ['http://127.0.0.1:2379'] },
    ttlSeconds: 10,
    admin: { listen: false, hosts: [], control_socket: null, control_socket_mode: 0o600 },
    heartbeatPath: null,
    stateFile: false,
    drainTimeMs: 0,
    shutdown: { drain: 0, keep: false },
    fleet: { path: '/smartstack/fleet' },
    statsd: undefined,
    services: new Map(services.map((service) => [service.name, service])),
    ...options,
  };
}
