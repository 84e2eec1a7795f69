import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { failure, oneLine, plainReason, systemWords } from '../../common/reason.ts';

const refused = Object.assign(new Error('connect ECONNREFUSED ::1:80'), { code: 'ECONNREFUSED' });
const openssl = Object.assign(new Error('error:0A00:SSL routines:x:wrong version number:../s.c:1'), {
  code: 'EPROTO',
  library: 'SSL routines',
  reason: 'wrong version number',
});

describe('a reason', () => {
  for (const [title, error, reason] of [
    ['spells out what the system says in codes', refused, 'connection refused'],
    ['takes the first of several addresses', new AggregateError([refused, openssl], ''), 'connection refused'],
    ['leaves out where in its sources OpenSSL is', openssl, 'wrong version number'],
    ['is one line', new Error('no\n\tway\u0007'), 'no way'],
    ['names causes', new Error('no', { cause: new Error('way') }), 'no: way'],
    ['is made of anything thrown', 'no way', 'no way'],
    ['is made of nothing', null, 'null'],
  ] as const) {
    it(title, () => assert.equal(plainReason(error), reason));
  }

  it('follows the attempt, without a repetition', () => {
    const error = failure('cannot connect', refused);
    assert.equal(error.message, 'cannot connect: connection refused');
    assert.equal(error.cause, undefined);
  });

  it('is found in a text that names a system error', () => {
    assert.equal(
      systemWords('No connection. Last error: connect ECONNREFUSED 127.0.0.1:2379 (x)'),
      'connection refused',
    );
    assert.equal(systemWords('ETERNAL trouble'), undefined);
  });

  it('is shortened to 300 characters', () => {
    assert.equal(oneLine('x'.repeat(1000)), `${'x'.repeat(300)}…`);
  });
});
