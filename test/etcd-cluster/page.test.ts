import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { type Problem, validate } from '../../common/config/config.ts';
import { shell } from '../../common/daemon/exec.ts';
import { createEtcdClient } from '../../common/etcd/client/client.ts';
import { checkEtcdOptions, etcdSchema } from '../../common/etcd/client/options.ts';
import { isHealthy } from '../../etcd-cluster/members/health.ts';
import { freePorts } from '../../etcd-cluster/members/ports.ts';
import { pageBlock, pageText } from '../support/docs/pages.ts';
import { etcdProgram, etcdVersions, put, testLog } from '../support/etcd/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { root } from '../support/repository.ts';
import { type Server, startServer } from '../support/servers/server.ts';

/** care.test.ts and the end-to-end test of a restored etcd run the other commands of the page. */
describe('etcd-cluster/README.md', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'etcd-page-'));
    // Loopback replaces the three hosts.
    const block = (await pageBlock(/etcd-cluster\/certificates/)).replace(/10\.0\.0\.\d/g, '127.0.0.1');
    const { code, stderr } = await shell(block.replaceAll('etcd-cluster/', `${root}etcd-cluster/`), {
      ...{ timeoutMs: 120_000, cwd: folder, env: process.env },
    });
    assert.deepEqual([code, stderr], [0, '']);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  for (const version of etcdVersions) {
    it(`has variables with which etcd ${version} forms a cluster, and names metrics that etcd has`, async () => {
      const text = await pageBlock(/^ETCD_NAME=/m);
      const ports = await freePorts(9);
      const port = (member: number, kind: number): string => String(ports[member * 3 + kind]);
      const metrics = (member: number): number => Number(port(member, 2));
      const variables = (member: number): NodeJS.ProcessEnv => {
        const own = text
          .replace('ETCD_NAME=etcd1', `ETCD_NAME=etcd${member + 1}`)
          .replace('/var/lib/etcd/data', join(folder, version, `${member}`))
          .replaceAll('/etc/etcd/tls', join(folder, `tls/etcd${member + 1}`))
          .replace(
            'INITIAL_ADVERTISE_PEER_URLS=https://10.0.0.1',
            `INITIAL_ADVERTISE_PEER_URLS=https://10.0.0.${member + 1}`,
          )
          .replace(/0\.0\.0\.0:2379|10\.0\.0\.1:2379/g, `127.0.0.1:${port(member, 0)}`)
          .replace(/0\.0\.0\.0:2380/g, `127.0.0.1:${port(member, 1)}`)
          .replace('127.0.0.1:2381', `127.0.0.1:${metrics(member)}`)
          .replace(/10\.0\.0\.(\d):2380/g, (_, host) => `127.0.0.1:${port(Number(host) - 1, 1)}`);
        assert.doesNotMatch(own, /10\.0\.0\./);
        return Object.fromEntries(
          own
            .trim()
            .split('\n')
            .map((line) => line.split(/=(.*)/s).slice(0, 2)),
        );
      };
      const program = await etcdProgram(version);
      const healthy = (member: number) => async (): Promise<void> => {
        if (!(await isHealthy(metrics(member)))) throw new Error(`member ${member} is not healthy`);
      };
      const starting = [0, 1, 2].map((member) =>
        startServer([program, '--logger=zap'], { env: variables(member), ready: healthy(member) }),
      );
      const ended = new AbortController();
      try {
        await Promise.all(starting);
        const tls = (file: string): string => join(folder, 'tls/root', file);
        const options = {
          hosts: [`https://127.0.0.1:${port(0, 0)}`],
          tls: { ca: tls('ca.pem'), cert: tls('client.pem'), key: tls('client-key.pem') },
        };
        await put(createEtcdClient(options, { log: testLog() }, ended.signal), '/a', '1');
        const named = [...(await pageText()).matchAll(/`(etcd_[a-z_]+)`/g)].map(([, name]) => name as string);
        assert.ok(named.length > 7);
        // Some metrics appear with the first measurement.
        await eventually(async () => {
          const found = await (await fetch(`http://127.0.0.1:${metrics(0)}/metrics`)).text();
          const missing = named.filter((name) => !found.includes(`# TYPE ${name} `));
          assert.deepEqual(missing, []);
        });
      } finally {
        ended.abort();
        const servers = await Promise.allSettled(starting);
        for (const one of servers as PromiseFulfilledResult<Server>[]) await one.value?.stop();
      }
    });
  }

  it('has a valid etcd section for both daemons', async () => {
    const [, block] = /^```yaml\n(.*?)^```$/ms.exec(await pageText()) ?? [];
    const problems: Problem[] = [];
    const options = validate(etcdSchema, parse(block ?? '').etcd, { path: 'etcd', problems });
    assert.deepEqual(problems, []);
    assert.equal(checkEtcdOptions(options).length, 3);
  });

  it('names files and commands that exist', async () => {
    const text = await pageText();
    for (const [, path] of text.matchAll(/\]\(([^)#]+)\)/g)) await readFile(join(root, 'etcd-cluster', path as string));
    for (const [, name] of text.matchAll(/^etcd-cluster\/(\w+)/gm))
      await readFile(join(root, 'etcd-cluster', name as string));
  });
});
