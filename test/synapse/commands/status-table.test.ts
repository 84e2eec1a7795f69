import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { coloured, plain } from '../../../common/cli/table.ts';
import { makeInstance } from '../../../common/instance.ts';
import { formatStatus } from '../../../synapse/commands/status-table.ts';
import type { ServerStatistics } from '../../../synapse/haproxy/statistics/server-shape.ts';
import type { HaproxyReport } from '../../../synapse/haproxy/status-shape.ts';
import { findProblems } from '../../../synapse/report/problems.ts';
import type { StatusReport } from '../../../synapse/report/status-shape.ts';
import { summaryOf } from '../../../synapse/report/summary.ts';
import { serverReport } from '../../support/daemons/server-report.ts';
import { serviceReport } from '../../support/daemons/service-report.ts';

const now = Date.parse('2026-01-01T00:10:00.000Z');
const service = serviceReport();
const services = {
  api: {
    ...service,
    paths: ['services/api'],
    instances: [
      makeInstance({ name: 'a', host: '10.0.0.1', port: 80, weight: 5 }),
      makeInstance({ name: 'b', host: '10.0.0.2', port: 80, state: 'drain', backup: true }),
      makeInstance({ name: 'd', host: '10.0.0.4', port: 80 }),
    ],
    suspects: { 'd_10.0.0.4:80': '2026-01-01T00:15:00.000Z' },
    left_out: [{ id: 'c_10.0.0.3:80', reason: 'it is not the leader' }],
    rejected: [{ where: '/nerve/services/api/bad', reason: 'not JSON: "x"' }],
  },
  web: { ...service, origin: 'nothing' as const, reason: 'etcd is away', instances: null, changed_at: null },
  none: { ...service, method: 'static' },
};
const seen = (name: string, status: string, check: string): ServerStatistics => serverReport(name, { status, check });
const haproxy: HaproxyReport = {
  sockets: [
    { path: '/a.sock', connected: true, version: '2.6.12', workerPid: 7, generation: 'g1', lastError: null },
    { path: '/b.sock', connected: false, version: null, workerPid: null, generation: null, lastError: 'no such file' },
  ],
  held: [{ service: 'api', backend: 'api.be', name: 'a_10.0.0.1:80', held: 'maintenance' }],
  problems: { web: 'a bad name' },
};

function status(more: Partial<StatusReport> = {}): StatusReport {
  return {
    version: '1.2.3',
    reason: 'nothing is known about web',
    daemon: { running: true, reason: null },
    problems: [],
    services,
    haproxy,
    servers: { api: [seen('a_10.0.0.1:80', 'UP', 'L7OK'), seen('b_10.0.0.2:80', 'DRAIN', '')] },
    ...more,
  };
}

describe('the status table', () => {
  it('shows every instance with its server in HAProxy, marks differences, and lists skipped records', () => {
    assert.equal(
      formatStatus(status(), plain, now),
      `synapse 1.2.3: nothing is known about web
HAProxy 2.6.12 (worker 7) at /a.sock

SERVICE  INSTANCE         STATE          WEIGHT  IN HAPROXY  FROM     PATH          CHANGED
api      a_10.0.0.1:80    up             5       UP, L7OK    etcd     services/api  10 min
api      b_10.0.0.2:80    drain, backup          DRAIN       etcd     services/api  10 min
api      d_10.0.0.4:80    up, suspect            ! missing   etcd     services/api  10 min
web      (not known yet)                                     nothing
none     (none)                                              static                 10 min

api: skipped /nerve/services/api/bad: not JSON: "x"
api: 1 instance left out; synapse explain api says why
`,
    );
  });

  it('shows a weight of 0 that only HAProxy has, and the command that ends it when one server was set by hand', () => {
    const name = 'd_10.0.0.4:80';
    const undo = `set server api/${name} weight 7`;
    const held = [{ service: 'api', backend: 'api', name, held: 'weight' as const, weight: 0, undo }];
    const report = status({
      haproxy: { ...haproxy, held, problems: {} },
      servers: { api: [serverReport(name, { status: 'DRAIN', check: 'L7OK', weight: 0 })] },
    });
    const problems = findProblems(summaryOf(report), null);
    const text = formatStatus({ ...report, problems }, plain, now);
    assert.match(text, /^api +d_10\.0\.0\.4:80 +up, suspect +! DRAIN, L7OK, weight 0 +etcd/m);
    assert.match(text, /^! 1 server set by hand in HAProxy: api\/d_10\.0\.0\.4:80: weight 0$/m);
    assert.match(text, new RegExp(`^ {2}\\$ echo '${undo}' \\| socat stdio /a\\.sock$`, 'm'));
  });

  it('starts with what is wrong and what to do, in the words of the live page', () => {
    const report = status();
    const text = formatStatus({ ...report, problems: findProblems(summaryOf(report), report.reason) }, plain, now);
    assert.match(
      text,
      /^✗ HAProxy does not answer at \/b\.sock: no such file\n {2}Does it run\? .*\n {2}\$ systemctl status haproxy$/m,
    );
    assert.match(text, /^✗ HAProxy cannot take the configuration of web: a bad name\n/m);
    assert.match(text, /^✗ No instance is up: none\n/m);
    assert.match(text, /^! 1 server set by hand in HAProxy: api\.be\/a_10\.0\.0\.1:80: maintenance\n/m);
    assert.match(text, /^! Expiry guard in force: api: many leases were lost together/m);
    assert.ok(text.indexOf('✗ No instance is up') < text.indexOf('! Expiry guard'), 'the worst first');
  });

  it('does not claim that HAProxy still runs when it answers nowhere', () => {
    const report = status();
    const reload = (connected: readonly boolean[]) => {
      const sockets = haproxy.sockets.map((socket, index) => ({ ...socket, connected: connected[index] === true }));
      const found = findProblems({ services: {}, haproxy: { sockets, problems: {}, lastError: 'no' } }, report.reason);
      return found.find(({ title }) => title === 'The last reload of HAProxy failed')?.remedy;
    };
    assert.equal(reload([false, false]), 'Its log says why.');
    assert.match(reload([true, false]) ?? '', /^HAProxy still runs its previous configuration\. /);
  });

  it('says that synapse does not run, and what was read instead', () => {
    const why = 'synapse is not running: nothing answers at 127.0.0.1:3211';
    const read = [
      { what: 'sources', found: 'answered for 2 of 3 services', reason: null },
      { what: 'state file /s.json', found: null, reason: 'no such file' },
    ];
    const text = formatStatus(status({ reason: why, daemon: { running: false, reason: why }, read }), plain, now);
    assert.equal(
      text.slice(0, text.indexOf('\n\n')),
      `${why}
HAProxy keeps the servers it has. What follows was read without it, and nothing was changed:
  sources             answered for 2 of 3 services
  state file /s.json  cannot be read: no such file`,
    );
  });

  it('does not claim that HAProxy keeps its servers when it does not answer', () => {
    const why = 'synapse is not running';
    const read = [{ what: 'HAProxy /a.sock', found: null, reason: 'connection refused' }];
    const text = formatStatus(status({ reason: why, daemon: { running: false, reason: why }, read }), plain, now);
    assert.match(text, /^synapse is not running\nWhat follows was read without it/);
  });

  it('has the same text with and without colours', () => {
    const report = status();
    const text = formatStatus(report, coloured, now);
    assert.notEqual(text, formatStatus(report, plain, now));
    assert.equal(stripVTControlCharacters(text), formatStatus(report, plain, now));
  });
});
