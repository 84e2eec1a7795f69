import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Log } from '../../../common/daemon/log.ts';
import type { Instance } from '../../../common/instance.ts';
import { HaproxyProcess } from '../../../synapse/haproxy/runtime/process.ts';
import { buildBackendSpec } from '../../../synapse/haproxy/spec/build-backend.ts';
import { createDesiredService, type DesiredService } from '../../../synapse/haproxy/spec/desired-service.ts';
import { parseConfig } from '../../../synapse/haproxy/spec/parse-config.ts';
import { serviceConfig } from './haproxy-output.ts';
import { plainConfig } from './haproxy-text.ts';

/** What {@link runProcess} runs. */
export interface ProcessSetUp {
  /** Default: a name that no socket has. */
  readonly path?: string;
  readonly log: Log;
  readonly connectUnix: () => Socket;
  /** The section `haproxy` of the service `api`. */
  readonly options: Record<string, unknown>;
  readonly instances: readonly Instance[];
  /** The text of haproxy.cfg. */
  readonly file: string;
}

/** A process that runs until the test ends. */
export interface ProcessUnderTest {
  readonly haproxy: HaproxyProcess;
  /** The service `api`. */
  readonly desired: DesiredService;
  /** Aborts when the test ends. */
  readonly signal: AbortSignal;
}

/** Runs the part of synapse that talks to one HAProxy, over any connection, with the service `api`. */
export function runProcess(t: TestContext, setUp: ProcessSetUp): ProcessUnderTest {
  const { path = '/run/haproxy.sock', log, connectUnix, options, instances, file } = setUp;
  const config = plainConfig();
  const desired = createDesiredService('api', 100);
  desired.active = buildBackendSpec('api', serviceConfig(options), config);
  desired.instances = instances;
  const parsed = parseConfig(file);
  const haproxy = new HaproxyProcess(path, {
    log,
    host: { connectUnix },
    services: new Map([['api', desired]]),
    config,
    file: () => parsed,
    foundFile: () => parsed,
    onRead: () => {},
    onDeleted: () => {},
    onSync: () => {},
    onChange: () => {},
  });
  const end = new AbortController();
  const running = haproxy.run(end.signal);
  t.after(async () => {
    end.abort();
    await running;
  });
  return { haproxy, desired, signal: end.signal };
}
