import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { LimitedLog, limitEachMessage } from '../../../common/daemon/limited-log.ts';
import { recordingLog } from '../../support/process/recording-log.ts';

describe('a log with a limit', () => {
  it('writes a burst, then one line per interval, and says how many were left out', (t) => {
    let now = 0;
    const clock = mock.method(performance, 'now', () => now);
    t.after(() => clock.mock.restore());
    const { log, lines } = recordingLog();
    const limited = new LimitedLog(log, { burst: 3, intervalMs: 10_000 });
    const write = (count: number): void => {
      for (let index = 0; index < count; index++) limited.warn('refused', { index });
    };
    write(1_000);
    assert.equal(lines.length, 3);
    now += 9_999;
    write(1);
    assert.equal(lines.length, 3);
    now += 1;
    write(5);
    assert.deepEqual(lines.slice(3), [{ level: 'warn', message: 'refused', fields: { index: 0, omitted: 998 } }]);
    now += 24 * 3_600_000;
    write(1_000);
    assert.deepEqual([lines.length, lines[4]?.fields.omitted, lines[5]?.fields.omitted], [7, 4, undefined]);
  });

  it('counts each message about each service apart, and those about no service', (t) => {
    let now = 0;
    const clock = mock.method(performance, 'now', () => now);
    t.after(() => clock.mock.restore());
    const { log, lines } = recordingLog();
    const limited = limitEachMessage(log, { burst: 2, intervalMs: 1_000 });
    for (let index = 0; index < 5; index++) {
      limited.info('applied', { service: 'api' });
      limited.error('refused', { service: 'api' });
      limited.child({ service: 'web' }).info('applied');
      limited.info('applied');
    }
    const count = (level: string, name: string | undefined) =>
      lines.filter((line) => line.level === level && line.fields.service === name).length;
    assert.deepEqual([count('info', 'api'), count('error', 'api'), count('info', 'web')], [2, 2, 2]);
    assert.equal(count('info', undefined), 2);
    now += 1_000;
    limited.info('applied', { service: 'api' });
    assert.deepEqual(lines.at(-1), { level: 'info', message: 'applied', fields: { service: 'api', omitted: 3 } });
  });
});
