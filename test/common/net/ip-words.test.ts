import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isLoopbackHost } from '../../../common/net/ip-words.ts';

describe('isLoopbackHost', () => {
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1']) {
    it(`is true for ${host}`, () => assert.equal(isLoopbackHost(host), true));
  }
  for (const host of ['10.0.0.1', '128.0.0.1', '::', '::2', 'fe80::1', 'etcd-1', '127.example', 'localhost.test', '']) {
    it(`is false for '${host}'`, () => assert.equal(isLoopbackHost(host), false));
  }
});
