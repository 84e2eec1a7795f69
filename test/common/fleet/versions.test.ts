import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { prefixRange } from '../../../common/etcd/client/key-value.ts';
import { askFleet } from '../../../common/fleet/ask.ts';
import { ackKey, fleetKeys, proxyKey } from '../../../common/fleet/keys.ts';
import type { Progress } from '../../../common/fleet/progress.ts';
import { formatAck, formatProxy } from '../../../common/fleet/records.ts';
import { grantLease, put, testLog } from '../../support/etcd/etcd.ts';
import { ackOf, FakeProxy, fleetPath } from '../../support/etcd/fleet.ts';
import { withCluster } from '../../support/etcd/with-cluster.ts';
import { patienceMs } from '../../support/eventually.ts';

const path = '/nerve/services/api';
const key = `${path}/i-1_10.0.0.5:80`;
const keys = fleetKeys(fleetPath);

/** A record of a proxy as another version may write it: with other fields, or without some. */
function proxyRecord(change: object): string {
  const record = JSON.parse(
    formatProxy({
      ...{ host: 'other', version: '9.9', session: 'session', startedAt: '2026-11-28T04:00:00.000Z' },
      ...{ paths: [path], haproxyProcesses: 1 },
    }),
  );
  return JSON.stringify({ ...record, ...change });
}

describe('synapses of several versions in one fleet', () => {
  const etcd = withCluster('3.5');
  let end: AbortController;
  beforeEach(async () => {
    end = new AbortController();
    await put(etcd.client, key, JSON.stringify({ host: '10.0.0.5', port: 80, name: 'i-1', state: 'drain' }));
    await new FakeProxy(etcd.client, 'ours', () => ({})).start(end.signal);
  });
  afterEach(async () => {
    end.abort();
    const { key: from, end: to } = prefixRange(fleetPath);
    await etcd.client.call((rpc) => rpc.kv.deleteRange({ key: from, range_end: to }));
  });

  /** Asks beside a synapse of another version, which answers what `ack` changes of an acknowledgement that is quiet. */
  async function progressWith(record: object, ack: object | undefined, timeoutMs = patienceMs): Promise<Progress> {
    const lease = await grantLease(etcd.client, 600);
    await put(etcd.client, proxyKey(keys, 'other'), proxyRecord(record), lease);
    // Its own answers: those of the stand-in have the fields of this version.
    const answering = new FakeProxy(etcd.client, 'listener', () => undefined, ['/elsewhere']);
    await answering.start(end.signal);
    const question = { kind: 'instance', path, key, expect: 'drained' } as const;
    const options = { fleet: { path: fleetPath }, by: 'a test', questions: [question], timeoutMs };
    const asking = askFleet(etcd.client, options, { log: testLog() }, end.signal);
    const answered = (async () => {
      while (answering.requests.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      const [[id, request] = []] = [...answering.requests];
      if (id === undefined || request === undefined || ack === undefined) return;
      const value = { ...JSON.parse(formatAck(ackOf('session', request))), ...ack };
      await put(etcd.client, ackKey(keys, id, 'other'), JSON.stringify(value), lease);
    })();
    const { answers, removed } = await asking;
    await Promise.all([answered, removed]);
    return (answers[0] as NonNullable<(typeof answers)[0]>).progress;
  }

  it('count together when one of a later version writes fields that this one does not know', async () => {
    const later = { v: 2, zone: 'a', paths: [path, '/new'], extra: { deep: [1] } };
    const { outcome, members } = await progressWith(later, { v: 3, confidence: 0.5 });
    assert.deepEqual([outcome, members], ['done', ['other', 'ours']]);
  });

  const unreadable: readonly (readonly [what: string, record: object, ack: object | undefined, reason: RegExp])[] = [
    ['whose record lacks a field', { session: undefined }, {}, /other \(its record cannot be read: session undefined/],
    ['whose record has no version', { v: undefined }, {}, /other \(its record cannot be read: v undefined/],
    [
      'with a result that this version does not know',
      {},
      { result: 'surely' },
      /other \(its acknowledgement cannot be read: result "surely"/,
    ],
    [
      'whose acknowledgement lacks a count',
      {},
      { queued: undefined },
      /other \(its acknowledgement cannot be read: queued undefined/,
    ],
    ['that does not answer such questions', {}, undefined, /other \(no answer\)/],
  ];
  for (const [what, record, ack, reason] of unreadable) {
    it(`wait for one ${what}, and name it`, async () => {
      const progress = await progressWith(record, ack, 1_500);
      assert.equal(progress.outcome, 'timeout');
      assert.match(String(progress.reason), reason);
      assert.equal(progress.acknowledged, 1);
    });
  }
});
