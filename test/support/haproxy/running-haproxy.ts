import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import type { Log } from '../../../common/daemon/log.ts';
import type { Instance } from '../../../common/instance.ts';
import { eventually } from '../eventually.ts';
import { namedServer, type TestHaproxy, testHaproxy } from './haproxy.ts';
import { instance, type RunningOutput, runOutput, type TestService, testConfig } from './haproxy-output.ts';
import type { HaproxyVersion } from './versions.ts';

/** How synapse is to run in a test. */
export interface SynapseOptions {
  /** Options of the `haproxy` section beside those of {@link testConfig}. */
  readonly top?: Readonly<Record<string, unknown>>;
  readonly log?: Log;
}

/** What {@link runningHaproxy} starts. */
export interface RunningHaproxyOptions extends SynapseOptions {
  /** Default: the version of this machine. */
  readonly version?: HaproxyVersion;
  readonly services: Readonly<Record<string, TestService>>;
}

/** A HAProxy, and the synapse that keeps it up to date. */
export interface HaproxyInStep {
  readonly haproxy: TestHaproxy;
  /** The synapse that runs now. */
  readonly synapse: RunningOutput;
  /** Ends this synapse and starts another one, which has no services yet. */
  restart(options?: SynapseOptions): Promise<void>;
  /** Waits until synapse is connected to HAProxy. */
  connected(): Promise<void>;
}

/** Starts synapse with some services, and HAProxy with the file that synapse wrote. Ends both with the test. */
export async function runningHaproxy(t: TestContext, options: RunningHaproxyOptions): Promise<HaproxyInStep> {
  const haproxy = await testHaproxy(options.version);
  const start = ({ top, log }: SynapseOptions) => runOutput(testConfig(haproxy, top), log);
  let synapse = start(options);
  t.after(async () => {
    await synapse.stop();
    await haproxy.close();
  });
  const connected = () => eventually(() => assert.equal(synapse.output.status.sockets[0]?.connected, true));
  await synapse.apply(options.services);
  await eventually(() => access(haproxy.file));
  await haproxy.start();
  await connected();
  return {
    haproxy,
    get synapse() {
      return synapse;
    },
    async restart(next = {}) {
      await synapse.stop();
      synapse = start(next);
    },
    connected,
  };
}

/** An instance that answers every HTTP request with its name, until the test ends. */
export async function webInstance(t: TestContext, name: string): Promise<Instance> {
  const server = await namedServer(name);
  t.after(() => server.close());
  return instance(server.port);
}

/** The body of one HTTP response on a port of this machine, over a connection of its own; the status if it is not 200. */
export async function answerOn(port: number | undefined): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
  const body = await response.text();
  return response.status === 200 ? body : String(response.status);
}
