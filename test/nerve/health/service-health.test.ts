import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { registry } from '../../../common/daemon/metrics.ts';
import type { ServiceConfig } from '../../../nerve/config/service-config.ts';
import { ServiceHealth } from '../../../nerve/health/service-health.ts';
import { healthSwitch, serviceConfig } from '../../support/daemons/nerve-service.ts';
import { eventually } from '../../support/eventually.ts';
import { nodeWarnings } from '../../support/process/node-warnings.ts';
import { recordingLog } from '../../support/process/recording-log.ts';

function start(t: TestContext, config: ServiceConfig) {
  const end = new AbortController();
  const { log, lines } = recordingLog();
  const service = new ServiceHealth(config, { log });
  const changes: string[] = [];
  const running = service.run((verdict) => changes.push(verdict), 0, end.signal);
  t.after(async () => {
    end.abort();
    await running;
  });
  return { service, changes, lines, end, running };
}

describe('ServiceHealth', () => {
  it('is up at once without checks', (t) => {
    const { service, changes } = start(t, serviceConfig('api', []));
    assert.deepEqual([service.health, changes], ['up', ['up']]);
  });

  it('follows its check, and logs only changes', async (t) => {
    const api = healthSwitch();
    const { service, changes, lines } = start(t, serviceConfig('api', [api.probe]));
    await eventually(() => assert.deepEqual(changes, ['up']));
    const { probes } = api;
    await eventually(() => assert.ok(api.probes > probes + 5));
    api.healthy = false;
    await eventually(() => assert.deepEqual(changes, ['up', 'down']));
    api.healthy = true;
    await eventually(() => assert.deepEqual(changes, ['up', 'down', 'up']));
    assert.equal(service.health, 'up');
    assert.deepEqual(
      lines.map(({ message, fields }) => [message, fields.service, fields.check, fields.reason]),
      [
        ['check passes', 'api', 'switch-0', undefined],
        ['service is up', 'api', undefined, undefined],
        ['check fails', 'api', 'switch-0', 'switched off'],
        ['service is down', 'api', undefined, undefined],
        ['check passes', 'api', 'switch-0', undefined],
        ['service is up', 'api', undefined, undefined],
      ],
    );
  });

  it('is unknown until every check has a result, and down as soon as one of them is', async (t) => {
    const good = healthSwitch();
    let answer = (): void => {};
    const slow = (): Promise<void> => new Promise((resolve) => (answer = resolve));
    const { service, changes } = start(
      t,
      serviceConfig('api', [good.probe, slow], { check: { timeoutMs: 3_600_000 } }),
    );
    await eventually(() => assert.ok(good.probes > 2));
    assert.equal(service.health, 'unknown');
    answer();
    await eventually(() => assert.deepEqual(changes, ['up']));
    good.healthy = false;
    await eventually(() => assert.deepEqual(changes, ['up', 'down']));
    answer();
  });

  it('applies rise and fall of each check', async (t) => {
    const outcomes = 'pffpfffffff';
    let i = 0;
    let downAfter = 0;
    const check = async (): Promise<void> => {
      if (service.health === 'down') downAfter ||= i;
      if (outcomes[i++] !== 'p') throw new Error('f');
    };
    const { service, changes } = start(t, serviceConfig('api', [check], { check: { rise: 2, fall: 3 } }));
    await eventually(() => assert.deepEqual(changes, ['up', 'down']));
    await eventually(() => assert.equal(downAfter, 7));
  });

  it('never runs two probes of a check at a time, and counts a hanging one as failed', async (t) => {
    let running = 0;
    let most = 0;
    let finish = (): void => {};
    const stubborn = async (): Promise<void> => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => (finish = resolve));
      running -= 1;
    };
    const { service, changes } = start(t, serviceConfig('api', [stubborn], { check: { timeoutMs: 10 } }));
    await eventually(() => assert.deepEqual(changes, ['down']));
    await eventually(() => assert.equal(service.checks[0]?.last?.reason, 'the previous probe is still running'));
    assert.equal(most, 1);
    const hung = finish;
    hung();
    await eventually(() => assert.notEqual(finish, hung), 5000); // a second probe
    assert.equal(most, 1);
    finish();
  });

  it('ignores the result of a probe that its own end aborts', async (t) => {
    const hanging = (signal: AbortSignal): Promise<void> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('gave up'))));
    const { changes, end, running } = start(t, serviceConfig('api', [hanging], { check: { timeoutMs: 3_600_000 } }));
    end.abort();
    await running;
    assert.deepEqual(changes, []);
  });

  it('causes no warning of Node with many checks', async (t) => {
    const warnings = nodeWarnings(t);
    const checks = Array.from({ length: 20 }, () => healthSwitch().probe);
    const { changes } = start(t, serviceConfig('api', checks));
    await eventually(() => assert.deepEqual(changes, ['up']));
    assert.deepEqual(warnings, []);
  });

  it('shows the last result of each check, and counts probes and changes', async (t) => {
    const { service } = start(t, serviceConfig('counted', [healthSwitch(false).probe]));
    await eventually(() => assert.equal(service.health, 'down'));
    const [check] = service.checks;
    assert.deepEqual(
      [check?.name, check?.type, check?.up, check?.last?.outcome, check?.last?.reason],
      ['switch-0', 'switch', false, 'fail', 'switched off'],
    );
    assert.ok(Number.isFinite(Date.parse(service.since)) && Number.isFinite(Date.parse(check?.last?.at ?? '')));
    const metrics = await registry.metrics();
    assert.match(metrics, /nerve_probes_total\{service="counted",check="switch-0",result="fail"\} \d/);
    assert.match(metrics, /nerve_transitions_total\{service="counted",to="down"\} 1/);
  });
});
