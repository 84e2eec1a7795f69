import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../../common/daemon/log.ts';
import type { EtcdClient } from '../../../../common/etcd/client/client.ts';
import type { Rpc } from '../../../../common/etcd/client/connection.ts';
import { LeaseVerdicts, leaseQuestions } from '../../../../common/etcd/watch/lease-verdicts.ts';

/** Verdicts from an etcd that gives each lease this TTL; an error when it is undefined. */
function verdictsOf(ttlOf: (lease: string) => string | undefined) {
  const asked: string[] = [];
  const rpc = {
    lease: {
      leaseTimeToLive: async ({ ID }: { ID: string }) => {
        asked.push(ID);
        const TTL = ttlOf(ID);
        if (TTL === undefined) throw new Error('etcd is away');
        return { TTL };
      },
    },
  } as unknown as Rpc;
  const client = { call: (run: (rpc: Rpc) => Promise<unknown>) => run(rpc) } as unknown as EtcdClient;
  const verdicts = new LeaseVerdicts(client, { log: silentLog }, new AbortController().signal);
  return { asked, verdicts };
}

describe('LeaseVerdicts', () => {
  for (const [ttl, verdict] of [
    ['7', 'alive'],
    ['0', 'gone'],
    ['-1', 'gone'],
    [undefined, 'gone'],
  ] as const) {
    it(`a lease is ${verdict} when etcd says ${ttl ?? 'nothing'}`, async () => {
      assert.equal(await verdictsOf(() => ttl).verdicts.of('1'), verdict);
    });
  }

  it('a lease that is gone is asked about once, and one that lives again', async () => {
    const { asked, verdicts } = verdictsOf((lease) => (lease === '1' ? '-1' : '5'));
    for (const lease of ['1', '2', '1', '2']) await verdicts.of(lease);
    assert.deepEqual(asked, ['1', '2', '2']);
  });

  it('of a large wave, a sample is asked about, and the rest counts as gone', async () => {
    const { asked, verdicts } = verdictsOf(() => '5');
    const leases = Array.from({ length: 500 }, (_, index) => String(index));
    const found = await Promise.all(leases.map((lease) => verdicts.of(lease)));
    assert.equal(asked.length, leaseQuestions.sample);
    assert.equal(found.filter((verdict) => verdict === 'gone').length, 500 - leaseQuestions.sample);
  });
});
