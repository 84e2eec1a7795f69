import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { atLeast, losesEvents } from '../../../../common/etcd/client/version.ts';

const table: readonly [version: string | undefined, isRecommended: boolean, loses: boolean][] = [
  ['3.4.23', false, true],
  ['3.5.0', false, false],
  ['3.5.27', false, false],
  ['3.5.28', true, false],
  ['3.5.100', true, false],
  ['3.6.0-rc.1', true, false],
  ['4.0.0', true, false],
  ['unknown', false, true],
  [undefined, false, false],
];
describe('a version of etcd', () => {
  for (const [version, isRecommended, loses] of table) {
    it(`${isRecommended ? 'recommends' : 'does not recommend'} ${version}, which ${loses ? 'loses' : 'does not lose'} events`, () => {
      assert.equal(atLeast(version, [3, 5, 28]), isRecommended);
      assert.equal(losesEvents(version), loses);
    });
  }
});
