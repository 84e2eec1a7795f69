import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { silentLog } from '../../common/daemon/log.ts';
import { createEtcdClient } from '../../common/etcd/client/client.ts';
import { readyServers } from '../../deploy/demo/haproxy.ts';
import { dump } from '../support/etcd/etcd.ts';
import { services, type World } from './world.ts';

/**
 * At rest, etcd, every HAProxy, its file and the state file of its synapse have exactly the instances that are well.
 * @throws naming what differs
 */
export async function checkAgreement(world: World): Promise<void> {
  const daemons = [...world.nerves, ...world.proxies.map(({ synapse }) => synapse)].map(({ process }) => process);
  const ended = daemons.filter(({ running }) => !running).map(({ name }) => name);
  assert.deepEqual(ended, [], 'daemons that ended by themselves');
  await checkMembers(world);
  for (const service of services) {
    const well = world.nerves
      .flatMap(({ instances }) => instances)
      .filter((instance) => instance.service === service && instance.healthy);
    const names = well.map(({ name }) => name).sort();
    const records = Object.entries(await dump(world.direct, `/nerve/services/${service}/`));
    const announced = records.filter(([, value]) => JSON.parse(value).state === undefined);
    assert.deepEqual(announced.map(([key]) => key.replace(/.*\//, '')).sort(), names, `${service} in etcd`);
    for (const proxy of world.proxies) {
      const where = `on ${proxy.name}`;
      assert.deepEqual(await readyServers(proxy.haproxy.socket, service), names, `${service} in HAProxy ${where}`);
      const file = await readFile(proxy.haproxy.configFile, 'utf8');
      assert.deepEqual(enabledServers(file, service), names, `${service} in haproxy.cfg ${where}`);
      const saved = JSON.parse(await readFile(proxy.stateFile, 'utf8')).services[service]?.instances ?? [];
      const ports = saved.map(({ port }: { port: number }) => port).sort();
      assert.deepEqual(ports, well.map(({ port }) => port).sort(), `${service} in the state file ${where}`);
    }
  }
}

/** etcd's members have the same revisions. */
async function checkMembers({ etcd }: World): Promise<void> {
  const revisions = await Promise.all(
    etcd.members.map(async ({ url }) => {
      const end = new AbortController();
      try {
        const client = createEtcdClient({ hosts: [url] }, { log: silentLog }, end.signal);
        const { header } = await client.call((rpc) => rpc.kv.range({ key: Buffer.from('/') }));
        return header.revision;
      } finally {
        end.abort();
      }
    }),
  );
  assert.deepEqual(new Set(revisions).size, 1, `the members of etcd have the revisions ${revisions.join(', ')}`);
}

/** The servers of a backend in haproxy.cfg that begin in rotation. */
function enabledServers(file: string, backend: string): readonly string[] {
  const section = file.split(/^(?=\S)/m).find((text) => text.startsWith(`backend ${backend}\n`)) ?? '';
  return [...section.matchAll(/^\s+server (\S+) (.*)$/gm)]
    .filter(([, , options]) => !/\bdisabled\b/.test(options ?? ''))
    .map(([, name]) => name as string)
    .sort();
}
