import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nerveMistakes } from '../../support/config/nerve-mistakes.ts';
import { configProblems, loadNerveConfig } from '../../support/daemons/nerve-config.ts';

describe('an invalid configuration of nerve', () => {
  for (const [sentence, value, expected] of nerveMistakes) {
    it(`is refused for ${sentence}`, async (t) => {
      const found = await configProblems(loadNerveConfig(t, value));
      assert.equal(found.length, expected.length, found.join('\n'));
      for (const [i, pattern] of expected.entries()) {
        if (typeof pattern === 'string') assert.equal(found[i], pattern);
        else assert.match(found[i] ?? '', pattern);
      }
    });
  }

  it('never shows a password in its problems', async (t) => {
    const found = await configProblems(
      loadNerveConfig(t, { etcd: { username: 5, password: ['hunter2'], hosts: ['http://u:hunter2@x'] } }),
    );
    assert.ok(!found.join('\n').includes('hunter2'), found.join('\n'));
  });
});
