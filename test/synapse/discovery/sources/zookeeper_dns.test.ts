import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { SourceRun } from '../../../support/daemons/source-run.ts';
import { type DnsServer, startDnsServer } from '../../../support/servers/dns-server.ts';
import { withZookeeper } from '../../../support/servers/with-zookeeper.ts';
import { recordOf } from '../../../support/servers/zookeeper-writer.ts';
import { until } from '../../../support/until.ts';

describe('the source zookeeper_dns', () => {
  const zookeeper = withZookeeper();
  let dns: DnsServer;

  before(async () => {
    dns = await startDnsServer();
  });
  after(() => dns.close());

  const startDns = async (more: object = {}): Promise<SourceRun> => {
    const { server, path } = zookeeper;
    const options = { hosts: [server.address], path, nameserver: dns.address, ...more };
    return zookeeper.run('zookeeper_dns_poll', { polling_interval_sec: 600, check_interval: 600, ...options });
  };

  it('makes an instance of each address of a name, and does not look up addresses', async () => {
    dns.zone.set('a.test A', [{ address: '10.0.0.2' }, { address: '10.0.0.1' }]);
    await zookeeper.nerve.create(`${zookeeper.path}/a_0000000001`, recordOf('a', { weight: 3, labels: { az: 'x' } }));
    await zookeeper.nerve.create(`${zookeeper.path}/b_0000000002`, JSON.stringify({ host: '10.0.0.9', port: 80 }));
    const run = await startDns();
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['a_10.0.0.1:80', 'a_10.0.0.2:80', '10.0.0.9_10.0.0.9:80']);
    assert.deepEqual({ ...run.sets[0]?.instances[0]?.labels }, { az: 'x' });
    assert.equal(run.sets[0]?.instances[0]?.weight, 3);
    assert.deepEqual(run.sets[0]?.sequence, [1, 1, 2]);
    assert.equal(run.source.status?.().reason, null);
  });

  it('publishes added and removed nodes at once, with how they were removed', async () => {
    dns.zone.set('c.test A', [{ address: '10.0.0.3' }]);
    dns.zone.set('d.test A', [{ address: '10.0.0.4' }]);
    await zookeeper.nerve.create(`${zookeeper.path}/c`, recordOf('c'));
    const run = await startDns();
    await until(() => run.ids().length === 1);
    await zookeeper.nerve.create(`${zookeeper.path}/d`, recordOf('d'));
    await until(() => run.ids().length === 2);
    await zookeeper.nerve.set(`${zookeeper.path}/d`, recordOf('d', { state: 'down' }));
    await until(() => run.sets.at(-1)?.instances.some(({ state }) => state === 'down') === true);
    await zookeeper.nerve.remove(`${zookeeper.path}/d`);
    await until(() => run.ids().length === 1);
    await zookeeper.nerve.remove(`${zookeeper.path}/c`);
    await until(() => run.ids().length === 0);
    assert.deepEqual(run.gone, [
      ['d_10.0.0.4:80', 'withdrawn'],
      ['c_10.0.0.3:80', 'expired'],
    ]);
  });

  it('finds a new address when the old record expires, and counts the old one as withdrawn', async () => {
    dns.zone.set('e.test A', [{ address: '10.0.0.5', ttl: 1 }]);
    await zookeeper.nerve.create(`${zookeeper.path}/e`, recordOf('e'));
    const run = await startDns();
    await until(() => run.ids().length === 1);
    dns.zone.set('e.test A', [{ address: '10.0.0.6', ttl: 1 }]);
    await until(() => run.ids()[0] === 'e_10.0.0.6:80');
    assert.deepEqual(run.gone, [['e_10.0.0.5:80', 'withdrawn']]);
  });

  it('looks up only what is due, a bounded number at a time, and publishes good names beside many that hang', async () => {
    dns.zone.set('good.test A', [{ address: '10.0.0.20', ttl: 600 }]);
    await zookeeper.nerve.create(`${zookeeper.path}/good`, recordOf('good'));
    const run = await startDns({ timeout: 2_000 });
    await until(() => run.ids().length === 1);
    const asked = (name: string) => dns.questions.filter((question) => question.startsWith(`${name}.test `)).length;
    const before = asked('good');
    // More than are looked up at one time, none of which is ever answered.
    for (let index = 0; index < 150; index += 1) {
      const name = `hang${index}`;
      dns.zone.set(`${name}.test A`, 'hang');
      await zookeeper.nerve.create(`${zookeeper.path}/${name}`, recordOf(name));
    }
    dns.zone.set('late.test A', [{ address: '10.0.0.21', ttl: 600 }]);
    await zookeeper.nerve.create(`${zookeeper.path}/late`, recordOf('late'));
    await until(() => run.ids().includes('late_10.0.0.21:80'), 30_000);
    assert.deepEqual([...run.ids()].sort(), ['good_10.0.0.20:80', 'late_10.0.0.21:80']);
    assert.equal(asked('good'), before, 'it was looked up again although it was known');
  });

  it('keeps the addresses of a name that cannot be resolved, and follows the others', async () => {
    dns.zone.set('f.test A', [{ address: '10.0.0.7', ttl: 1 }]);
    dns.zone.set('g.test A', [{ address: '10.0.0.8', ttl: 1 }]);
    await zookeeper.nerve.create(`${zookeeper.path}/f`, recordOf('f'));
    const run = await startDns();
    await until(() => run.ids().length === 1);
    dns.zone.set('f.test A', 2);
    await until(() => /SERVFAIL|f\.test/.test(run.source.status?.().reason ?? ''));
    await zookeeper.nerve.create(`${zookeeper.path}/g`, recordOf('g'));
    await zookeeper.nerve.create(`${zookeeper.path}/h`, recordOf('h'));
    await until(() => run.ids().length === 2 && run.sets.at(-1)?.rejected.length === 1);
    assert.deepEqual(run.ids(), ['f_10.0.0.7:80', 'g_10.0.0.8:80']);
    assert.match(run.sets.at(-1)?.rejected[0]?.reason ?? '', /^h\.test: .*ENOTFOUND/);
    dns.zone.set('f.test A', [{ address: '10.0.0.7', ttl: 1 }]);
    dns.zone.set('h.test A', [{ address: '10.0.0.9', ttl: 1 }]);
    await until(() => run.ids().length === 3 && run.source.status?.().reason === null);
  });
});
