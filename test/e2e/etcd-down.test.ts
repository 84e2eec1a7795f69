import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { request } from 'undici';
import { sleep } from '../../common/async/sleep.ts';
import { readyServers, workerPid } from '../../deploy/demo/haproxy.ts';
import { type Stack, startStack } from '../../deploy/demo/stack.ts';
import { eventually } from '../support/eventually.ts';

describe('all of etcd is down for longer than every TTL', () => {
  let stack: Stack;
  const ttl = 2;

  before(async () => {
    stack = await startStack({ services: ['api'], instancesPerService: 2, ttlSeconds: ttl });
    await eventually(async () => assert.equal((await ready()).length, 2));
    await eventually(async () => assert.match(await readFile(stateFile(), 'utf8'), /api-1.*api-2/s));
    await Promise.all(stack.etcd.members.map((member) => member.kill()));
    await sleep(ttl * 2 * 1000);
  });
  after(() => stack?.stop());

  const stateFile = (): string => `${stack.folder}/synapse.state.json`;
  const ready = () => readyServers(stack.haproxy.socket, 'api');
  const serves = async (): Promise<void> => {
    const names = new Set<string>();
    for (let i = 0; i < 10; i++) {
      const { statusCode, body } = await request(`http://127.0.0.1:${stack.ports.api}/`);
      assert.equal(statusCode, 200);
      names.add((await body.text()).trim());
    }
    assert.deepEqual([...names].sort(), ['api-1', 'api-2']);
  };

  it('HAProxy keeps serving with every server', async () => {
    await serves();
  });

  it('a synapse that is killed and started finds its last good catalog and changes nothing', async () => {
    const worker = await workerPid(stack.haproxy.socket);
    await stack.synapse.process.stop('SIGKILL');
    await stack.startSynapse();
    await serves();
    assert.equal((await ready()).length, 2);
    assert.equal(await workerPid(stack.haproxy.socket), worker, 'no reload');
  });

  it('an HAProxy that is killed and started serves from the file', async () => {
    await stack.haproxy.process.stop('SIGKILL');
    await stack.startHaproxy();
    await eventually(serves);
  });

  it('both killed at once and started again serve', async () => {
    await Promise.all([stack.haproxy.process.stop('SIGKILL'), stack.synapse.process.stop('SIGKILL')]);
    await stack.startHaproxy();
    await stack.startSynapse();
    await eventually(serves);
  });

  it('when etcd is back everything is announced and followed again', async () => {
    await Promise.all(stack.etcd.members.map((member) => member.start()));
    await stack.etcd.ready();
    await eventually(serves);
    const [sick] = stack.instances;
    sick?.process.signal('SIGUSR2');
    await eventually(async () => assert.equal((await ready()).length, 1));
    sick?.process.signal('SIGUSR1');
    await eventually(async () => assert.equal((await ready()).length, 2));
    await serves();
  });
});
