import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HaproxyReport } from '../../../synapse/haproxy/status-shape.ts';
import { findProblems } from '../../../synapse/report/problems.ts';
import type { ServiceSummary } from '../../../synapse/report/summary.ts';

const healthy: ServiceSummary = {
  method: 'etcd',
  origin: 'discovered',
  reason: null,
  age: 1,
  changed_at: null,
  fallback: null,
  known: true,
  up: 2,
  drain: 0,
  backup: 0,
  over_limit: 0,
  suspects: 0,
  lost: 0,
  rejected: 0,
  left_out: 0,
  unresolved: 0,
  failing_names: 0,
  refused_instances: 0,
  refused: null,
};
const socket = { path: '/a.sock', connected: true, version: '2.6', workerPid: 7, generation: 'g', lastError: null };
const connected: HaproxyReport = { sockets: [socket], problems: {} };

const summary = (
  services: Readonly<Record<string, Partial<ServiceSummary>>>,
  haproxy: Partial<HaproxyReport> = {},
) => ({
  services: Object.fromEntries(Object.entries(services).map(([name, more]) => [name, { ...healthy, ...more }])),
  haproxy: { ...connected, ...haproxy },
});

describe('the problems of synapse', () => {
  it('name an id of the fleet that another synapse has too', () => {
    const fleet = { path: '/f', id: 'host-a', proxies: 2, requests: 0, reason: 'another synapse has it', shared: true };
    const [problem] = findProblems({ ...summary({ api: {} }), fleet }, null);
    assert.match(problem?.title ?? '', /Another synapse has the id host-a/);
    assert.deepEqual(findProblems({ ...summary({ api: {} }), fleet: { ...fleet, shared: false } }, null), []);
  });

  it('are none when every service is healthy and HAProxy answers', () => {
    assert.deepEqual(findProblems(summary({ api: {}, web: {} }), null), []);
  });

  it('include a configuration file that the next start would refuse', () => {
    const found = findProblems({ ...summary({ api: { up: 0 } }), config_refused: 'services.api: is wrong' }, null);
    const first = found.find(({ kind }) => kind === 'configuration_invalid');
    assert.deepEqual(
      [first?.level, first?.title, first?.reason],
      ['bad', 'The configuration file is invalid: a restart of synapse would fail', 'services.api: is wrong'],
    );
    assert.equal(found.length, 2);
  });

  const cases: readonly [title: string, found: ReturnType<typeof summary>, level: string, text: string][] = [
    [
      'name the socket of a HAProxy that does not answer',
      summary({}, { sockets: [{ ...socket, connected: false, lastError: 'connection refused' }] }),
      'bad',
      'HAProxy does not answer at /a.sock: connection refused. Does it run? ' +
        'synapse brings it up to date as soon as it answers.',
    ],
    [
      'name a service that HAProxy refuses, and not the refusal of the whole as well',
      summary({ web: {} }, { problems: { web: "unknown keyword 'soon'" }, rejected: "unknown keyword 'soon'" }),
      'bad',
      "HAProxy cannot take the configuration of web: unknown keyword 'soon'. Its last good configuration stays in " +
        'force, and the other services are not affected. Correct the haproxy section of the service; synapse check tests it.',
    ],
    [
      'name services with more than max_instances',
      summary({ web: { over_limit: 7 } }),
      'warn',
      'More than max_instances: web by 7: the instances that were announced last are left out. Are all of them meant to be ' +
        'there? synapse services lists them. If so, raise max_instances of the service.',
    ],
    [
      'say which records want too many reloads, and when their next one is due',
      summary({}, { pendingReload: ["the server's options changed (api/one)"], waitingReload: { api: 23, web: 40 } }),
      'warn',
      "HAProxy needs a reload: the server's options changed (api/one). The records of api, web ask for too many " +
        'reloads: their next reload is due in 23 s (haproxy.service_reload_interval). Changes of the configuration do not wait for it.',
    ],
    [
      'name a server that HAProxy does not change',
      summary(
        {},
        { stuck: [{ service: 'api', backend: 'api', name: 'one', reason: 'HAProxy does not add api/one: No' }] },
      ),
      'bad',
      'HAProxy does not change 1 server: HAProxy does not add api/one: No. Reloads did not help either, so synapse tries it ' +
        'again every few minutes only. HAProxy says why; synapse explain has the commands.',
    ],
    [
      'name options of records that are not used',
      summary(
        {},
        { dropped: [{ service: 'api', name: 'one', reason: 'haproxy_server_options: id 2: contradicts id 3' }] },
      ),
      'warn',
      'Options of records not used: api: one: haproxy_server_options: id 2: contradicts id 3. The servers are there without ' +
        'them. Correct haproxy_server_options where the records are written.',
    ],
    [
      'include a refused configuration',
      summary({}, { rejected: 'bad global' }),
      'bad',
      'HAProxy refuses the new configuration: bad global. The last good one stays in force. ' +
        'Correct the global and defaults sections; synapse check tests them.',
    ],
    [
      'include a pending reload',
      summary({}, { pendingReload: ['service web is new'] }),
      'warn',
      'HAProxy needs a reload: service web is new. synapse reloads it soon, unless haproxy.do_reloads is false.',
    ],
    [
      'include a failed reload in place of the pending one',
      summary({}, { pendingReload: ['service web is new'], lastError: 'no such process' }),
      'bad',
      'The last reload of HAProxy failed: no such process. HAProxy still runs its previous configuration. ' +
        'Its log says why.',
    ],
    [
      'say since when one outage makes several services stale',
      summary({ api: { reason: 'no leader', age: 90 }, web: { reason: 'no leader', age: 180 }, job: {} }),
      'warn',
      '2 services may be out of date: no leader. Traffic goes to the last known instances, confirmed 3 min ago. ' +
        'Is etcd healthy?',
    ],
    [
      'name a service without instances',
      summary({ api: { up: 0 } }),
      'bad',
      'No instance is up: api. Requests fail. Run nerve status on the hosts of the service; ' +
        'synapse explain says what is left out, and why.',
    ],
    [
      'name a service on its fallback',
      summary({ api: { fallback: 'spare' } }),
      'warn',
      'Fallback in use: api from spare: the first source finds no instances. synapse returns to it as soon as it finds one.',
    ],
    [
      'name services with host names that cannot be looked up',
      summary({ api: { failing_names: 2 } }),
      'warn',
      'Host names cannot be looked up: api: their last addresses stay in use. ' +
        'synapse explain names them. Do the name servers of this host answer?',
    ],
    [
      'name services with instances that have no address',
      summary({ api: { failing_names: 2, unresolved: 1 }, web: { failing_names: 1 } }),
      'warn',
      'Host names cannot be looked up: api, web: their last addresses stay in use. Instances of api have no address yet ' +
        'and are left out. synapse explain names them. Do the name servers of this host answer?',
    ],
    [
      'name services with instances whose addresses are refused',
      summary({ api: { refused_instances: 1 } }),
      'warn',
      'Instances refused because of their addresses: api: traffic may not go there; the other instances are not affected. ' +
        'synapse explain names them. Correct their records, or instance_networks.',
    ],
    [
      'name a service whose published configuration is refused',
      summary({ api: { refused: 'haproxy.backend: may not be published' } }),
      'warn',
      'Published configuration of api refused: haproxy.backend: may not be published. ' +
        'The previous one stays in force. Publish a corrected one.',
    ],
  ];
  for (const [title, found, level, text] of cases) {
    it(title, () => {
      const [problem, ...others] = findProblems(found, null);
      assert.ok(problem !== undefined);
      assert.deepEqual(others, []);
      assert.equal(problem.level, level);
      const why = problem.reason === undefined ? '' : `: ${problem.reason}`;
      assert.equal(`${problem.title}${why}. ${problem.remedy}`, text);
    });
  }

  it('say that synapse is not ready only when nothing else is wrong', () => {
    const titles = (services: Readonly<Record<string, Partial<ServiceSummary>>>) =>
      findProblems(summary(services), 'the first snapshot has not been applied yet').map(({ title }) => title);
    assert.deepEqual(titles({}), ['synapse is not ready yet']);
    assert.deepEqual(titles({ api: { rejected: 1 } }), ['Records skipped: api']);
  });

  it('start with the worst', () => {
    const found = findProblems(summary({ api: { suspects: 2 }, web: { up: 0 } }), null);
    assert.deepEqual(
      found.map(({ level }) => level),
      ['bad', 'warn'],
    );
  });
});
