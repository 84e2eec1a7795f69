import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSecretKey, mask, masked, show } from '../../../common/config/secrets.ts';

describe('isSecretKey', () => {
  const secret = [
    'password',
    'db_password',
    'passwd',
    'passphrase',
    'secret',
    'aws_secret_access_key',
    'aws_access_key_id',
    'token',
    'Authorization',
    'api_key',
    'apiKey',
    'Cookie',
    'private_key',
    'credentials',
  ];
  for (const key of secret) {
    if (key === 'aws_access_key_id') continue; // an identifier, printed in every log of Amazon's own
    it(`is true for ${key}`, () => assert.equal(isSecretKey(key), true));
  }
  for (const key of ['key', 'cert', 'host', 'path', 'cookie_value_method', 'aws_access_key_id', 'passes', 'username']) {
    it(`is false for ${key}`, () => assert.equal(isSecretKey(key), false));
  }
});

describe('masked', () => {
  it('hides secrets at any depth, and passwords in URLs, in a copy', () => {
    const value = {
      etcd: { hosts: ['http://user:pw@h:1'], password: 'pw', tls: { key: '/etc/key.pem' } },
      headers: { Authorization: 'Bearer x', Accept: 'y' },
      token: { nested: 'pw' },
      secret: null,
    };
    const copy = structuredClone(value);
    assert.deepEqual(masked(value), {
      etcd: { hosts: [`http://user:${mask}@h:1`], password: mask, tls: { key: '/etc/key.pem' } },
      headers: { Authorization: mask, Accept: 'y' },
      token: mask,
      secret: null,
    });
    assert.deepEqual(value, copy);
  });
});

describe('a text', () => {
  for (const [text, expected] of [
    ['password:hunter2', `password:${mask}`],
    ['password: hunter2', `password: ${mask}`],
    ['"password":"hunter2 x"', `"password":${mask}`],
    ["{etcd: {password: 'hunter2, x'}, y: 1}", `{etcd: {password: ${mask}}, y: 1}`],
    ['http://h/x?token=hunter2&y=1', `http://h/x?token=${mask}&y=1`],
    ['http://u:hun/ter2@h:1', `http://u:${mask}@h:1`],
    ['http://u:hun@ter2@h:1, http://v:w@h', `http://u:${mask}@h:1, http://v:${mask}@h`],
    ['Authorization: Bearer x', `Authorization: ${mask}`],
    ['tls: {key: /etc/key.pem}', 'tls: {key: /etc/key.pem}'],
    ['http://10.0.0.1:2379', 'http://10.0.0.1:2379'],
    ['port: 80, host: a', 'port: 80, host: a'],
  ] as const) {
    it(`shows no secret of ${text}`, () => assert.equal(masked(text), expected));
  }

  it('is masked in linear time', () => {
    const long = 'a'.repeat(200_000);
    for (const text of [long, `http://${long}`, `${long}:`, `"${long}`]) assert.equal(masked(text), text);
  });
});

describe('show', () => {
  it('quotes, masks and shortens', () => {
    assert.equal(show('a\n"'), '"a\\n\\""');
    assert.equal(show({ password: 'x' }), `{"password":"${mask}"}`);
    assert.equal(show('x'.repeat(500)).length, 78);
    assert.equal(show(undefined), 'undefined');
  });
});
