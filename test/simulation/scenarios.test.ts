import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addressOf, Site } from './site.ts';
import type { SimulatedInstance } from './world/instances.ts';
import type { NerveHost } from './world/nerve-host.ts';
import type { WorldSettings } from './world/world.ts';

/** What the rule about lost leases promises, in failed requests. Each scenario was once measured with real programs. */
describe('when announcements vanish', () => {
  for (const check of [true, false]) {
    const how = check ? 'with check' : 'without check';
    for (const [title, lease] of [
      ['without a lease', '0'],
      ['under a lease that lives', '4711'],
    ] as const) {
      it(`keys ${title} that are deleted one by one are withdrawn, ${how}`, async () => {
        const site = await Site.start({ check, services: api(12) }, { nerves: false });
        await site.byHand(lease);
        for (const nerve of site.nerves.slice(0, 11)) {
          await site.commit(() => site.world.etcd.delete({ key: site.keyOf(nerve), end: '' }));
          await site.pass(1_500);
          site.stopInstances(nerve);
        }
        await site.pass(60_000);
        assert.equal(site.inUse().length, 1);
        assert.deepEqual(site.failed(), []);
      });
    }

    it(`instances on reused addresses are gone when their leases are, ${how}`, async () => {
      const site = await Site.start({ check, services: [...api(12), { name: 'web', hosts: 1 }] });
      const terminated = site.of('api').slice(0, 9);
      for (const nerve of terminated) {
        site.stopInstances(nerve);
        nerve.kill();
      }
      await site.pass(2_000);
      await site.commit(() => site.world.etcd.grant('4711', 3_600));
      for (const nerve of terminated) {
        const [ip = '', port = ''] = (nerve.instances[0] as SimulatedInstance).address.split(':');
        site.world.instances.add('web', nerve.name, ip, Number(port));
        const key = `/nerve/services/web/new_${ip}:${port}`;
        const value = JSON.stringify({ host: ip, port: Number(port), name: 'new' });
        await site.commit(() => site.world.etcd.put(key, Buffer.from(value), '4711'));
      }
      await site.pass(8_000);
      const expiredMs = site.now;
      await site.pass(60_000);
      assert.equal(site.inUse().length, 3);
      assert.deepEqual(site.failed(expiredMs), []);
    });

    it(`a dead host with most instances of a service is gone with its lease, ${how}`, async () => {
      const site = await Site.start({ check, services: api(2), instancesPerHost: 6 }, { configured: [6, 2] });
      site.dies(site.nerves[0] as NerveHost);
      await site.pass(10_000);
      const goneMs = site.now;
      assert.equal(site.inUse().length, 2);
      await site.pass(60_000);
      assert.deepEqual(site.failed(goneMs), []);
    });

    it(`a nerve that dies alone takes its instances with it after a short hold, ${how}`, async () => {
      const site = await Site.start({ check, services: api(4) });
      site.nerves[0]?.kill();
      await site.pass(14_000);
      assert.equal(site.inUse().length, 3);
      assert.deepEqual(site.failed(), []);
    });

    it(`two hosts that die one after the other do not come back, ${how}`, async () => {
      const site = await Site.start({ check, services: api(3) });
      const [first, second] = site.nerves as [NerveHost, NerveHost];
      site.dies(first);
      await site.pass(22_000);
      assert.equal(site.inUse().length, 2);
      site.dies(second);
      for (let second = 0; second < 40; second += 1) {
        await site.pass(1_000);
        assert.ok(!site.inUse().includes(addressOf(first)), 'the first one is back');
      }
      assert.equal(site.inUse().length, 1);
    });

    it(`a service of two keeps both instances when all nerves are cut off, ${how}`, async () => {
      const site = await Site.start({ check, services: api(2) });
      site.cutOffNerves();
      for (let second = 0; second < 30; second += 1) {
        await site.pass(1_000);
        assert.equal(site.inUse().length, 2);
      }
      site.world.network.healAll();
      await site.pass(20_000);
      assert.equal(site.inUse().length, 2);
      assert.deepEqual(site.failed(), []);
    });

    it(`an instance that stops while all nerves are cut off is dropped, ${how}`, async () => {
      const site = await Site.start({ check, services: api(4) });
      site.cutOffNerves();
      await site.pass(15_000);
      assert.equal(site.inUse().length, 4);
      site.stopInstances(site.nerves[0] as NerveHost);
      await site.pass(15_000);
      assert.equal(site.inUse().length, 3);
      const droppedMs = site.now;
      await site.pass(20_000);
      assert.deepEqual(site.failed(droppedMs), []);
    });
  }

  it('an instance that gets sick while all nerves are cut off is withdrawn as soon as its nerve is back', async () => {
    const site = await Site.start({ check: false, services: api(4) });
    site.cutOffNerves();
    await site.pass(8_000);
    const [sick] = (site.nerves[0] as NerveHost).instances as readonly [SimulatedInstance];
    site.world.instances.change(sick, { healthy: false });
    await site.pass(8_000);
    site.world.network.healAll();
    await site.pass(15_000);
    assert.equal(site.inUse().length, 3);
    const backMs = site.now;
    await site.pass(30_000);
    assert.deepEqual(site.failed(backMs), []);
  });

  it('nerves that stop while etcd is at its quota are gone', async () => {
    const site = await Site.start({ check: false, services: api(4) });
    site.world.etcd.outOfSpace = true;
    for (const nerve of site.nerves.slice(0, 3)) {
      nerve.stop();
      await site.pass(3_000);
      site.stopInstances(nerve);
    }
    await site.pass(12_000);
    assert.equal(site.inUse().length, 1);
  });

  it('instances that stop while synapse is cut off are gone soon after it is back, also when history was compacted', async () => {
    const site = await Site.start({ check: false, services: api(12) });
    const members = site.world.etcd.members.map(({ host }) => host);
    for (const member of members) site.world.network.cut(site.proxy.name, member);
    for (const nerve of site.nerves.slice(0, 8)) {
      nerve.stop();
      await site.pass(1_000);
      site.stopInstances(nerve);
    }
    await site.pass(10_000);
    site.world.etcd.compact(site.world.etcd.store.revision);
    site.world.network.healAll();
    await site.pass(20_000);
    assert.equal(site.inUse().length, 4);
    const backMs = site.now;
    await site.pass(30_000);
    assert.deepEqual(site.failed(backMs), []);
  });

  it('a synapse that can reach no instance keeps a service although all leases are lost', async () => {
    const site = await Site.start({ check: false, services: api(3) });
    for (const nerve of site.nerves) site.world.network.cut(site.proxy.name, nerve.name);
    site.cutOffNerves();
    await site.pass(40_000);
    assert.equal(site.inUse().length, 3);
  });
});

/** An etcd that is put back from a backup with its old id, and has passed the revision that was known. */
describe('when etcd is restored while a proxy cannot reach it', () => {
  for (const [title, elections, mostMs] of [
    ['is noticed at once by its lower term', 2, 5_000],
    ['is noticed within half a minute when its term is the same', 0, 40_000],
  ] as const) {
    it(title, async () => {
      const site = await Site.start({ services: api(6), check: false }, { nerves: false });
      const { etcd } = site.world;
      for (let count = 0; count < elections; count += 1) await site.electAnother();
      await site.byHand('0');
      const backup = etcd.store.snapshot();
      const known = await site.listedAfter(() => etcd.put('/elsewhere', Buffer.from('x'), '0'));
      site.cutOff([site.proxy.name]);
      await site.pass(1_000);
      etcd.restore(backup);
      await site.pass(5_000);
      const [withdrawn] = site.nerves as [NerveHost];
      await site.commit(() => etcd.delete({ key: site.keyOf(withdrawn), end: '' }));
      while (etcd.store.revision <= known) await site.commit(() => etcd.put('/elsewhere', Buffer.from('y'), '0'));
      site.stopInstances(withdrawn);
      assert.equal(site.inUse().length, 6);
      site.world.network.healAll();
      await site.pass(mostMs);
      assert.equal(site.inUse().length, 5);
      await site.pass(60_000);
      assert.equal(site.inUse().length, 5);
    });
  }
});

function api(hosts: number): WorldSettings['services'] {
  return [{ name: 'api', hosts }];
}
