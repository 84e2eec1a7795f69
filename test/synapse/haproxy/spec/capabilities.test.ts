import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { capabilitiesOf } from '../../../../synapse/haproxy/spec/capabilities.ts';

describe('the capabilities of HAProxy', () => {
  it('follow from its version', () => {
    const can = (version: string) => {
      const able = capabilitiesOf(version);
      const { addServer, canDeleteServer, deleteServer, dynamicCookie, poolOptions } = able;
      return [addServer, canDeleteServer, deleteServer, dynamicCookie, poolOptions].map(Number).join('');
    };
    assert.deepEqual(['2.4.22', '2.6.12-1+deb12u4', '2.8.5', '3.0.11', '3.2.26', '3.10.1', 'unknown'].map(can), [
      '00001',
      '10001',
      '10001',
      '11010',
      '11110',
      '11110',
      '00001',
    ]);
  });
});
