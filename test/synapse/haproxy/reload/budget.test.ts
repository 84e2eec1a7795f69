import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../../common/daemon/log.ts';
import { ReloadBudget } from '../../../../synapse/haproxy/reload/budget.ts';

/** A budget of one reload per 30 s, at a time that the test sets. */
function openBudget(intervalMs = 30_000) {
  let now = 1_000;
  const budget = new ReloadBudget({ burst: 3, intervalMs }, silentLog, () => now);
  return {
    budget,
    pass(ms: number): void {
      now += ms;
    },
  };
}

describe('the reload budget of a service', () => {
  it('allows three reloads at once, and then one per interval', () => {
    const { budget, pass } = openBudget();
    for (let count = 0; count < 3; count++) {
      assert.equal(budget.waitMs('api'), 0);
      budget.spend(['api']);
    }
    assert.equal(budget.waitMs('api'), 30_000);
    pass(29_000);
    assert.equal(budget.waitMs('api'), 1_000);
    pass(1_000);
    assert.equal(budget.waitMs('api'), 0);
    budget.spend(['api']);
    assert.equal(budget.waitMs('api'), 30_000);
    pass(90_000);
    for (let count = 0; count < 3; count++) budget.spend(['api', 'api']);
    assert.equal(budget.waitMs('api'), 30_000);
  });

  it('does not depend on that of other services, and costs nothing for a reload that happens anyway', () => {
    const { budget } = openBudget();
    for (let count = 0; count < 1_000; count++) budget.spend(['api']);
    assert.deepEqual([budget.waitMs('api'), budget.waitMs('web')], [30_000, 0]);
  });

  it('is no limit with an interval of 0', () => {
    const { budget } = openBudget(0);
    for (let count = 0; count < 1_000; count++) budget.spend(['api']);
    assert.equal(budget.waitMs('api'), 0);
  });
});
