import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DueReasons } from '../../../../synapse/haproxy/reload/due-reasons.ts';
import { configurationReason, serverReason } from '../../../../synapse/haproxy/spec/reload-reason.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';

const records = (service: string, text = `the options of ${service} changed`) => serverReason(text, { service });

describe('the reasons that lead to a reload', () => {
  it('are not those of records over their budget, which do not hold up others and go along with them', () => {
    const { log, lines } = recordingLog();
    const due = new DueReasons(60_000, log);
    const [api, web, operator] = [records('api'), records('web'), configurationReason('service new is new')];
    for (let count = 0; count < 3; count++) {
      assert.equal(due.waitMs([api], 'g'), 0);
      due.spend([api]);
    }
    assert.ok((due.waitMs([api], 'g') ?? 0) > 50_000);
    assert.deepEqual([...due.waiting([api, web, operator]).keys()], ['api']);
    assert.equal(due.waitMs([api, web], 'g'), 0);
    assert.equal(due.waitMs([api, operator], 'g'), 0);
    assert.deepEqual(
      lines.map(({ fields }) => fields.service),
      ['api'],
    );
  });

  it('are not those that a reload has left, whatever other reasons come and go, until the context is another', () => {
    const due = new DueReasons(60_000, recordingLog().log);
    const left = configurationReason('HAProxy runs another configuration');
    due.left([left], 'g 1');
    assert.equal(due.waitMs([left], 'g 1'), undefined);
    for (let count = 0; count < 5; count++) {
      const reasons = [left, records('api', `the options changed once more (${count})`)];
      const waitMs = due.waitMs(reasons, 'g 1');
      if (count < 3) assert.equal(waitMs, 0);
      else assert.ok((waitMs ?? 0) > 50_000);
      if (waitMs !== 0) continue;
      due.spend(reasons);
      due.left([left], 'g 1');
    }
    assert.equal(due.waitMs([left], 'g 2'), 0);
  });

  it('are those of another wish for the same server, which came while the reload was under way', () => {
    const due = new DueReasons(60_000, recordingLog().log);
    const options = (wanted: string) =>
      serverReason("the server's options changed", { service: 'api', server: { backend: 'api', name: 'one', wanted } });
    due.left([options('rise 2')], 'g 1');
    assert.equal(due.waitMs([options('rise 2')], 'g 1'), undefined);
    assert.equal(due.waitMs([options('rise 3')], 'g 1'), 0);
  });
});
