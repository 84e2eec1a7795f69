import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeInstance } from '../../../common/instance.ts';
import type { ServiceHealth } from '../../../synapse/haproxy/statistics/health-shape.ts';
import { Events } from '../../../synapse/report/events.ts';
import { ProblemWatch } from '../../../synapse/report/problem-watch.ts';
import type { SynapseState } from '../../../synapse/report/status-shape.ts';
import { serviceReport } from '../../support/daemons/service-report.ts';
import { recordingLog } from '../../support/process/recording-log.ts';

const none = { up: 0, unchecked: 0, down: 0, out: 0 };
const instances = [makeInstance({ host: '10.0.0.1', port: 80 })];

describe('the watch of problems', () => {
  it('remembers since when each is there, forgets it with its end, and records what nothing else tells', () => {
    const { log, lines } = recordingLog();
    const events = new Events(10);
    const health = new Map<string, ServiceHealth['servers']>([
      ['api', { ...none, up: 1 }],
      ['web', { ...none, up: 1 }],
    ]);
    const state = (names: readonly string[] = [...health.keys()]): SynapseState => ({
      services: Object.fromEntries(
        names.map((name) => [name, serviceReport({ instances, haproxy: { servers: health.get(name) ?? none } })]),
      ),
      haproxy: null,
    });
    const watch = new ProblemWatch({ log, events, synapse: { ready: () => null, state } });
    const kinds = () => events.since(0).map(({ kind, services, service }) => [kind, services ?? service]);
    assert.deepEqual(watch.state().since, {});

    health.set('api', { ...none, down: 1 });
    const began = watch.state().since?.['no_server_usable api'];
    assert.ok(began !== undefined);
    health.set('web', { ...none, down: 2 });
    const both = watch.state(['web']).since ?? {};
    assert.deepEqual(Object.keys(both), ['no_server_usable api'], 'a part of the state is no look');
    assert.deepEqual(Object.keys(watch.state().since ?? {}).sort(), ['no_server_usable api', 'no_server_usable web']);
    assert.equal(watch.state().since?.['no_server_usable api'], began);
    assert.deepEqual(kinds(), [
      ['servers_unusable', 'api'],
      ['servers_unusable', 'web'],
    ]);
    assert.equal(lines.filter(({ level }) => level === 'error').length, 2);

    health.set('api', { ...none, up: 1 });
    assert.deepEqual(Object.keys(watch.state().since ?? {}), ['no_server_usable web']);
    assert.deepEqual(kinds().at(-1), ['servers_usable', 'api']);
  });
});
