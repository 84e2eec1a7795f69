import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { reasonOf } from '../../../../common/daemon/log.ts';
import { EtcdError, etcdError, isPermanent } from '../../../../common/etcd/client/errors.ts';

describe('an EtcdError', () => {
  for (const [code, details, words] of [
    [
      status.UNAVAILABLE,
      'No connection established. Last error: connect ECONNREFUSED 127.0.0.1:2379 (2026-11-25T21:00:00.000Z)',
      'connection refused',
    ],
    [
      status.UNAVAILABLE,
      'No connection established. Last error: self-signed certificate (2026-11-25T21:00:00.000Z). Resolution note: ',
      'self-signed certificate (no authority in tls.ca has signed it)',
    ],
    [status.UNAVAILABLE, 'read ECONNRESET', 'connection reset'],
    [status.UNAVAILABLE, 'Name resolution failed for target dns:etcd.invalid:2379', 'host name not found'],
    [status.DEADLINE_EXCEEDED, 'Deadline exceeded after 0.302s,LB pick: 0.001s', 'no answer in time'],
    [status.CANCELLED, 'Cancelled on client', 'no answer in time'],
    [status.DEADLINE_EXCEEDED, 'no sign of life for 3 s', 'no sign of life for 3 s'],
    [status.INTERNAL, 'Received RST_STREAM with code 2', 'connection reset'],
    [status.UNAVAILABLE, 'Connection dropped', 'connection lost'],
    [status.PERMISSION_DENIED, 'etcdserver: permission denied', 'permission denied'],
    [status.UNAVAILABLE, 'etcdserver: no leader', 'no leader'],
    [status.RESOURCE_EXHAUSTED, '', 'resource exhausted'],
  ] as const) {
    it(`says '${words}' for ${status[code]} '${details.slice(0, 50)}'`, () => {
      assert.equal(new EtcdError('http://a:1 range', code, details).message, `http://a:1 range: ${words}`);
    });
  }

  it("leaves out gRPC's own words, and keeps code and details for programs", () => {
    const raw = Object.assign(new Error('14 UNAVAILABLE: etcdserver: no leader'), {
      code: 14,
      details: 'etcdserver: no leader',
    });
    const error = etcdError('http://a:1 range', raw);
    assert.equal(reasonOf(error), 'http://a:1 range: no leader');
    assert.deepEqual([error.code, error.details], [status.UNAVAILABLE, 'etcdserver: no leader']);
  });
});

describe('an error that no other member and no other try would change', () => {
  const cases: readonly (readonly [code: status, details: string, permanent: boolean])[] = [
    [status.PERMISSION_DENIED, 'etcdserver: permission denied', true],
    [status.NOT_FOUND, 'etcdserver: requested lease not found', true],
    [status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded', true],
    [status.RESOURCE_EXHAUSTED, 'etcdserver: too many requests', true],
    [status.RESOURCE_EXHAUSTED, 'Received message larger than max (5000000 vs. 4194304)', false],
    [status.UNAUTHENTICATED, 'etcdserver: invalid auth token', false],
    [status.UNAVAILABLE, 'etcdserver: no leader', false],
    [status.DEADLINE_EXCEEDED, 'Deadline exceeded', false],
  ];
  for (const [code, details, permanent] of cases) {
    it(`${status[code]} '${details}' is ${permanent ? '' : 'not '}one`, () => {
      assert.equal(isPermanent(new EtcdError('http://a:1 put', code, details)), permanent);
    });
  }
});
