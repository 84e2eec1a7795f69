import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '../support/eventually.ts';
import * as scenarios from '../support/lost-leases/scenarios.ts';
import { type Pace, startSite } from '../support/lost-leases/site.ts';

/** Requests a second through each HAProxy, and how many of them follow after the last step. */
const perSecond = 20;
const requestsAfter = 60;

/** Each step follows when HAProxy has done what the previous one asks for, however long that takes. */
const patient: Pace = {
  async withdrawn({ balancers, goneAt }) {
    for (const balancer of balancers) await balancer.left([...goneAt.keys()]);
  },
  counted: (site) => patient.withdrawn(site, 0),
  async rest({ balancers }, stays) {
    for (const balancer of balancers) await balancer.inUse(stays);
    for (const { load } of balancers) {
      const enough = load.counted.length + requestsAfter;
      await eventually(() => assert.ok(load.counted.length >= enough));
    }
  },
};

/** The scenarios of `npm run bench -- lost-leases`, in sizes and times that are as small as they can be. */
const small: readonly scenarios.Scenario[] = [
  scenarios.deletedOneByOne({ gone: 11, of: 12 }, 'without a lease'),
  scenarios.deletedOneByOne({ gone: 11, of: 12 }, 'under one lease'),
  // Long enough on a busy machine, too.
  scenarios.addressesReused({ gone: 3, of: 4, ttlSeconds: 12 }),
  scenarios.quotaReached({ gone: 3, of: 4 }),
  scenarios.withdrawnUnseen({ gone: 3, of: 4 }),
  scenarios.twoHostsDie(),
  scenarios.largeHostDies({ gone: 6, of: 8 }),
  scenarios.sickWhileCutOff({ hosts: 3 }),
  scenarios.pairCutOff(),
];

describe('etcd, nerves, and synapses with HAProxy', { concurrency: 3 }, () => {
  for (const scenario of small) {
    it(`no request fails, and nothing that is gone comes back, when ${scenario.title}`, async () => {
      const site = await startSite(scenario.shape, { members: 1, perSecond, pace: patient });
      try {
        await scenario.run(site);
        await patient.rest(site, scenario.stays);
        for (const balancer of site.balancers) {
          const { check, complaints, load, rotation } = balancer;
          const how = `${check ? 'with' : 'without'} check:\n${complaints.slice(-20).join('\n')}`;
          const bad = load.counted.filter(({ outcome }) => outcome !== 'answered');
          assert.deepEqual(bad, [], how);
          assert.equal(site.returnsBehind(balancer), 0, how);
          assert.ok(rotation.fewest >= scenario.stays, `only ${rotation.fewest} in use, ${how}`);
        }
      } finally {
        await site.stop();
      }
    });
  }
});
