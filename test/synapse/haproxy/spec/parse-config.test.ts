import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../../synapse/haproxy/spec/parse-config.ts';
import { maxconnOf } from '../../../../synapse/haproxy/spec/server.ts';
import { parseOptions } from '../../../../synapse/haproxy/spec/server-options.ts';

describe('a haproxy.cfg that is read', () => {
  it('tells its generation and its servers, whatever else is in it', () => {
    const text =
      '# hello\nglobal\n\tsetenv SYNAPSE_GEN abc\n\nlisten l\n\tserver x 1.1.1.1:1 id 7 \nfrontend f\n\tserver no 1:1\nbackend b\n\tbalance x\n\tserver y 2.2.2.2:2 id 8 cookie y check weight 4 backup\n';
    const file = parseConfig(text);
    assert.equal(file.generation, 'abc');
    assert.deepEqual([...file.backends.keys()], ['l', 'b']);
    assert.deepEqual(file.backends.get('l')?.get('x')?.line, 'server x 1.1.1.1:1 id 7 ');
    assert.deepEqual(maxconnOf(parseOptions('check maxconn 6')), 6);
    assert.deepEqual(maxconnOf(parseOptions('maxconn 6 minconn 2')), null);
    assert.deepEqual(maxconnOf(parseOptions('maxconn many')), null);
    const { id, weight, fixedWords } = file.backends.get('b')?.get('y') ?? {};
    assert.deepEqual([id, weight, fixedWords], [8, 4, 'cookie y check backup']);
    assert.equal(parseConfig('').generation, undefined);
  });
});
