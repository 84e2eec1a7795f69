import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { request } from 'undici';
import { exec } from '../../common/daemon/exec.ts';
import { readServers, readyServers, workerPid } from '../../deploy/demo/haproxy.ts';
import type { SampleInstance } from '../../deploy/demo/parts.ts';
import { type Stack, startStack } from '../../deploy/demo/stack.ts';
import { eventually } from '../support/eventually.ts';

describe('an instance from its nerve to HAProxy', () => {
  let stack: Stack;
  let worker: number;
  const ttl = 5;

  before(async () => {
    stack = await startStack({ services: ['api'], instancesPerService: 3, ttlSeconds: ttl });
    await eventually(async () => assert.equal((await ready()).length, 3));
    worker = await workerPid(stack.haproxy.socket);
  });
  after(() => stack?.stop());

  const ready = () => readyServers(stack.haproxy.socket, 'api');
  const serverName = ({ id, port }: SampleInstance): string => `${id}_127.0.0.1:${port}`;
  const nth = (index: number): SampleInstance => stack.instances[index] as SampleInstance;
  const others = (instance: SampleInstance): string[] =>
    stack.instances
      .filter(({ id }) => id !== instance.id)
      .map(serverName)
      .sort();
  const all = (): string[] => stack.instances.map(serverName).sort();
  /** The instances that answer a round of requests. */
  const answering = async (): Promise<string[]> => {
    const names = new Set<string>();
    for (let i = 0; i < 30; i++) {
      const { statusCode, body } = await request(`http://127.0.0.1:${stack.ports.api}/`);
      assert.equal(statusCode, 200);
      names.add((await body.text()).trim());
    }
    return [...names].sort();
  };
  const nerve = (instance: SampleInstance, ...args: string[]) =>
    exec([...instance.nerve.argv, ...args, '-c', instance.nerve.configFile], { timeoutMs: 20_000 });

  it('serves requests through HAProxy once it is healthy', async () => {
    assert.deepEqual(await ready(), all());
    assert.deepEqual(await answering(), ['api-1', 'api-2', 'api-3']);
  });

  it('stops serving when it becomes unhealthy, and serves again when it is healthy', async () => {
    nth(0).process.signal('SIGUSR2');
    await eventually(async () => assert.deepEqual(await ready(), others(nth(0))));
    assert.deepEqual(await answering(), ['api-2', 'api-3']);
    nth(0).process.signal('SIGUSR1');
    await eventually(async () => assert.deepEqual(await ready(), all()));
    assert.deepEqual(await answering(), ['api-1', 'api-2', 'api-3']);
  });

  it('causes no failed request when its process is killed, and comes back with the process', async () => {
    await nth(1).process.stop('SIGKILL');
    await eventually(async () => {
      await answering();
      assert.deepEqual(await ready(), others(nth(1)));
    });
    await stack.startInstance(nth(1));
    await eventually(async () => assert.deepEqual(await ready(), all()));
  });

  it('is drained and undrained by command', async () => {
    const drained = await nerve(nth(2), 'drain', 'api');
    assert.equal(drained.code, 0, drained.stderr);
    await eventually(async () => {
      const row = (await readServers(stack.haproxy.socket)).find(({ name }) => name === serverName(nth(2)));
      assert.equal(row?.state, 'drain');
    });
    assert.deepEqual(await answering(), ['api-1', 'api-2']);
    const undrained = await nerve(nth(2), 'undrain', 'api');
    assert.equal(undrained.code, 0, undrained.stderr);
    await eventually(async () => assert.deepEqual(await ready(), all()));
  });

  it('vanishes at once when its nerve stops at SIGTERM and withdraws it', async () => {
    const code = await nth(0).nerve.process.stop('SIGTERM');
    assert.equal(code, 0);
    // The lease would still live for seconds: only a withdrawal can have removed the server by now.
    await eventually(async () => assert.deepEqual(await ready(), others(nth(0))), (ttl * 1000) / 2);
    await stack.startNerve(nth(0));
    await eventually(async () => assert.deepEqual(await ready(), all()));
  });

  it('vanishes when its nerve is killed and the lease expires', async () => {
    await nth(0).nerve.process.stop('SIGKILL');
    assert.deepEqual(await ready(), all(), 'it is still announced right after');
    await eventually(async () => assert.deepEqual(await ready(), others(nth(0))));
    await stack.startNerve(nth(0));
    await eventually(async () => assert.deepEqual(await ready(), all()));
  });

  it('stays while its nerve is killed and started again within the TTL', async () => {
    await nth(0).nerve.process.stop('SIGKILL');
    const restarted = stack.startNerve(nth(0));
    let done = false;
    void restarted.finally(() => {
      done = true;
    });
    while (!done) assert.deepEqual(await ready(), all());
    await restarted;
  });

  it('causes no reload in any of these cases', async () => {
    assert.equal(await workerPid(stack.haproxy.socket), worker);
  });
});
