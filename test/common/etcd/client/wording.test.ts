import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { etcdError } from '../../../../common/etcd/client/errors.ts';

/** gRPC's report of a TLS alert. */
const alert = (name: string): string =>
  `80CC2A137B7F0000:error:0A000415:SSL routines:ssl3_read_bytes:${name}:../deps/openssl/openssl/ssl/record/rec_layer_s3.c:1601:SSL alert number 45\n (2026-11-25T21:40:22.822Z)`;

describe('the reason for a failed connection', () => {
  const cases: readonly (readonly [report: string, plain: string])[] = [
    [
      'Error: unable to verify the first certificate.',
      'unable to verify the first certificate (no authority in tls.ca has signed it)',
    ],
    ['Error: certificate has expired.', "certificate has expired (the member's certificate)"],
    [alert('sslv3 alert certificate expired'), 'certificate expired (the member rejects our certificate, tls.cert)'],
    [
      alert('tlsv13 alert certificate required'),
      'certificate required (the member requires a client certificate: set tls.cert and tls.key)',
    ],
    [alert('tlsv1 alert internal error'), 'internal error'],
    [alert('wrong version number'), 'wrong version number'],
    ['connect ECONNREFUSED 10.0.0.1:2379 (2026-11-25T21:40:22.822Z).', 'connection refused'],
  ];
  for (const [report, plain] of cases) {
    it(`reads '${plain}'`, () => {
      const details = `No connection established. Last error: ${report} Resolution note: `;
      const { message } = etcdError('https://10.0.0.1:2379 range', { code: status.UNAVAILABLE, details });
      assert.equal(message.slice(message.indexOf('range: ') + 'range: '.length), plain);
    });
  }
});
