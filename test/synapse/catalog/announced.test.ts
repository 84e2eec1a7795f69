import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Announced, AnnouncedIndex, type Announcement } from '../../../synapse/catalog/announced.ts';
import { namedInstance } from '../../support/daemons/instance-sets.ts';
import { seededRandom } from '../../support/random.ts';

const services = ['api', 'web', 'db'];
/** Some share an address, some a name, some a lease. */
const instances = ['a', 'b', 'c'].flatMap((host) => [
  namedInstance(host),
  namedInstance(host, { name: 'other' }),
  namedInstance(host, { name: '', port: 124 }),
  namedInstance(host, { port: 125, state: 'down' }),
]);
const leases = ['1', '2', undefined];

function contentOf({ byAddress, byName, withdrawn, leases }: Announced): unknown {
  const plain = (index: Announced['byName']) => new Map([...index].map(([key, ones]) => [key, new Set(ones)]));
  return { byAddress: plain(byAddress), byName: plain(byName), withdrawn: plain(withdrawn), leases };
}

describe('AnnouncedIndex', () => {
  it('has after any sequence of sets what an index of only the last ones has', () => {
    const random = seededRandom(1);
    const pick = <T>(of: readonly T[]) => of[Math.floor(random() * of.length)] as T;
    const index = new AnnouncedIndex();
    const last = new Map<string, readonly Announcement[]>();
    for (let round = 0; round < 2_000; round += 1) {
      const service = services[Math.floor(random() * services.length)] as string;
      const announced = instances
        .filter(() => random() < 0.4)
        .map((instance) => {
          const key = pick([null, `/${instance.id}`]);
          return { service, instance, lease: pick(leases), sequence: pick([1, 2]), key };
        });
      last.set(service, announced);
      index.take(service, announced);
      const fresh = new AnnouncedIndex();
      for (const [name, ones] of last) fresh.take(name, ones);
      assert.deepEqual(contentOf(index), contentOf(fresh), `round ${round}`);
    }
  });
});
