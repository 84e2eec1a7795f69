import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { plain } from '../../../common/cli/table.ts';
import { makeInstance } from '../../../common/instance.ts';
import { formatStatus } from '../../../synapse/commands/status-table.ts';
import type { ServiceHealth } from '../../../synapse/haproxy/statistics/health-shape.ts';
import type { HaproxyReport } from '../../../synapse/haproxy/status-shape.ts';
import { beginningKeys } from '../../../synapse/report/found-problem.ts';
import { type ProblemKind, problemKinds } from '../../../synapse/report/problem-kinds.ts';
import { findProblems } from '../../../synapse/report/problems.ts';
import type { ServiceReport } from '../../../synapse/report/service-shape.ts';
import type { SynapseState } from '../../../synapse/report/status-shape.ts';
import { summaryOf } from '../../../synapse/report/summary.ts';
import { serviceReport } from '../../support/daemons/service-report.ts';
import { anchors } from '../../support/docs/markdown.ts';
import { root } from '../../support/repository.ts';

const since = '2026-01-01T00:00:00.000Z';
const now = Date.parse(since) + 120_000;
const instances = [makeInstance({ host: '10.0.0.1', port: 80 })];
const servers = { up: 1, unchecked: 0, down: 0, out: 0 };
const traffic = { seconds: 60, requests: 100, failed: 0, server_errors: 0, retries: 0, queued: 0 };
const socket = { path: '/a.sock', connected: true, version: '3.0', workerPid: 7, generation: 'g', lastError: null };
const server = { service: 'api', backend: 'api', name: 'one' };
const lost = {
  lease: '1',
  since,
  phase: 'held',
  look: 'it answers',
  until: since,
  ends: 'no answer',
} as const;

/** A state of synapse with one service that is well apart from what is given. */
interface State {
  readonly api?: Partial<ServiceReport>;
  readonly health?: Partial<ServiceHealth['servers']>;
  readonly traffic?: Partial<typeof traffic>;
  readonly haproxy?: Partial<HaproxyReport>;
  readonly more?: Partial<SynapseState>;
  readonly ready?: string;
  readonly level: 'bad' | 'warn';
  /** What the cause must say; left out where the title is the cause. */
  readonly cause?: RegExp;
  readonly command: RegExp;
}

/** Every kind of problem with the states that make it: a kind without a state does not compile. */
const states: Readonly<Record<ProblemKind, Readonly<Record<string, State>>>> = {
  no_server_usable: {
    'the check of HAProxy fails for each server': {
      health: { up: 0, down: 2 },
      level: 'bad',
      cause: /0 of 2 servers take traffic; 2 down/,
      command: /^synapse explain api$/,
    },
    'the last servers are in maintenance, drain or weight 0': {
      health: { up: 0, out: 1 },
      level: 'bad',
      cause: /1 in maintenance, drain or weight 0/,
      command: /^synapse explain api$/,
    },
    'HAProxy has the service without a server': {
      health: { up: 0 },
      level: 'bad',
      cause: /HAProxy has no server of it/,
      command: /^synapse explain api$/,
    },
    'the previous instances do not answer either': {
      api: { origin: 'previous' },
      health: { up: 0, down: 1 },
      traffic: { requests: 8, failed: 8 },
      level: 'bad',
      cause: /8 of 8 requests failed in 60 s/,
      command: /^synapse explain api$/,
    },
  },
  servers_down: {
    'one of many servers is down': {
      health: { up: 9, down: 1 },
      level: 'warn',
      cause: /1 down/,
      command: /explain api/,
    },
    'half of the servers are down': {
      health: { up: 2, down: 2 },
      level: 'bad',
      cause: /2 down/,
      command: /explain api/,
    },
  },
  requests_fail: {
    'unchecked servers do not answer': {
      health: { up: 0, unchecked: 1 },
      traffic: { requests: 1, failed: 1 },
      level: 'bad',
      cause: /1 of 1 requests failed in 60 s/,
      command: /explain api/,
    },
    'a few requests fail': {
      traffic: { failed: 3 },
      level: 'warn',
      cause: /3 of 100 requests/,
      command: /explain api/,
    },
  },
  servers_answer_errors: {
    'servers answer 500': { traffic: { server_errors: 10 }, level: 'warn', cause: /10 of 100/, command: /explain api/ },
  },
  connections_retried: {
    'connections fail and others answer': {
      health: { up: 0, unchecked: 2 },
      traffic: { retries: 50 },
      level: 'warn',
      cause: /50 connections for 100 requests/,
      command: /explain api/,
    },
  },
  requests_wait: {
    'the queue is not empty': { traffic: { queued: 4 }, level: 'warn', cause: /4 waiting/, command: /explain api/ },
  },
  no_instance: {
    'nothing is announced': { api: { instances: [] }, level: 'bad', command: /explain api/ },
    'all instances drain': {
      api: { instances: instances.map((one) => ({ ...one, state: 'drain' as const })) },
      level: 'bad',
      command: /explain api/,
    },
  },
  service_unknown: {
    'the source has not answered': {
      api: { origin: 'nothing', instances: null },
      level: 'warn',
      command: /explain api/,
    },
  },
  source_stale: {
    'etcd is away': {
      api: { reason: 'no leader' },
      level: 'warn',
      cause: /no leader/,
      command: /etcdctl endpoint health/,
    },
    'another source fails': {
      api: { method: 'ec2tag', reason: 'timed out' },
      level: 'warn',
      cause: /timed out/,
      command: /explain api/,
    },
  },
  source_denied: {
    'etcd denies access': {
      api: { reason: 'etcdserver: permission denied' },
      level: 'bad',
      cause: /permission denied/,
      command: /etcdctl user get/,
    },
  },
  cache_in_use: {
    'etcd has not answered since the start': {
      api: { origin: 'cache', reason: 'connection refused' },
      level: 'warn',
      cause: /connection refused/,
      command: /etcdctl endpoint health/,
    },
  },
  previous_in_use: {
    'nothing is announced any more': {
      api: { origin: 'previous' },
      level: 'warn',
      cause: /finds no instance/,
      command: /explain api/,
    },
  },
  defaults_in_use: {
    'nothing is announced, and there are default servers': {
      api: { origin: 'defaults' },
      level: 'warn',
      cause: /finds no instance/,
      command: /explain api/,
    },
  },
  fallback_in_use: {
    'the second source is used': {
      api: {
        sources: [
          { name: 'first', method: 'etcd', role: 'asked', instances: 0, reason: null },
          { name: 'spare', method: 'static', role: 'used', instances: 1, reason: null },
        ],
      },
      level: 'warn',
      cause: /first source/,
      command: /explain api/,
    },
  },
  guard_in_force: {
    'many leases were lost together': {
      api: { suspects: { one: since }, lost: { one: { ...lost, phase: 'suspect' } } },
      level: 'warn',
      cause: /many leases/,
      command: /explain api/,
    },
  },
  leases_lost: {
    'one lease was lost': {
      api: { lost: { one: lost } },
      level: 'warn',
      cause: /leases are gone/,
      command: /explain api/,
    },
  },
  over_limit: {
    'more instances than max_instances': {
      api: { over_limit: 2 },
      level: 'warn',
      cause: /announced last/,
      command: /^synapse services$/,
    },
  },
  records_skipped: {
    'a record cannot be used': {
      api: { rejected: [{ where: '/x', reason: 'not JSON' }] },
      level: 'warn',
      cause: /cannot be used/,
      command: /explain api/,
    },
  },
  name_unresolved: {
    'a host name has no address': {
      api: { failing_names: [{ host: 'a', address: null, reason: 'ENOTFOUND' }] },
      level: 'warn',
      cause: /last addresses/,
      command: /explain api/,
    },
  },
  instances_refused: {
    'an address is not in instance_networks': {
      api: { left_out: [{ id: 'one', reason: 'not allowed', kind: 'refused' }] },
      level: 'warn',
      cause: /may not go there/,
      command: /explain api/,
    },
  },
  published_refused: {
    'a published configuration is refused': {
      api: { published: { where: null, refused: 'may not be published' } },
      level: 'warn',
      cause: /may not be published/,
      command: /explain api/,
    },
  },
  haproxy_away: {
    'HAProxy is down': {
      haproxy: { sockets: [{ ...socket, connected: false, lastError: 'connection refused' }] },
      level: 'bad',
      cause: /connection refused/,
      command: /systemctl status haproxy/,
    },
    'the second process is down': {
      haproxy: { sockets: [socket, { ...socket, path: '/b.sock', connected: false, lastError: 'no such file' }] },
      level: 'bad',
      cause: /no such file/,
      command: /systemctl status haproxy/,
    },
  },
  service_quarantined: {
    'HAProxy refuses one service': {
      haproxy: { problems: { api: "unknown keyword 'soon'" } },
      level: 'bad',
      cause: /unknown keyword/,
      command: /^synapse check$/,
    },
  },
  configuration_rejected: {
    'HAProxy refuses the whole': {
      haproxy: { rejected: 'bad' },
      level: 'bad',
      cause: /bad/,
      command: /^synapse check$/,
    },
  },
  file_unwritten: {
    'the disk is full': {
      haproxy: { writeError: 'ENOSPC', lastError: 'ENOSPC' },
      level: 'bad',
      cause: /ENOSPC/,
      command: /df -h/,
    },
  },
  reload_failed: {
    'the master process refuses': { haproxy: { lastError: 'no' }, level: 'bad', cause: /no/, command: /journalctl/ },
  },
  reload_due: {
    'a service is new': {
      haproxy: { pendingReload: ['service web is new'] },
      level: 'warn',
      cause: /web is new/,
      command: /systemctl reload haproxy/,
    },
  },
  reload_limited: {
    'records change options too often': {
      haproxy: { pendingReload: ['options changed'], waitingReload: { api: 20 } },
      level: 'warn',
      cause: /options changed/,
      command: /synapse events/,
    },
  },
  old_workers: {
    'five old workers do not end': { haproxy: { oldWorkers: 5 }, level: 'warn', cause: /connections/, command: /^ps / },
  },
  servers_stuck: {
    'HAProxy does not add a server': {
      haproxy: { stuck: [{ ...server, reason: 'does not add api/one: No' }] },
      level: 'bad',
      cause: /does not add/,
      command: /^synapse explain api one$/,
    },
  },
  servers_held: {
    'maintenance by hand': {
      haproxy: { held: [{ ...server, held: 'maintenance', undo: 'set server api/one state ready' }] },
      level: 'warn',
      cause: /maintenance/,
      command: /^echo 'set server api\/one state ready' \| socat stdio \/a\.sock$/,
    },
    'drained by hand': {
      haproxy: { held: [{ ...server, held: 'drain', undo: 'set server api/one state ready' }] },
      level: 'warn',
      cause: /drain/,
      command: /state ready/,
    },
    'weight 0 by hand': {
      haproxy: { held: [{ ...server, held: 'weight', weight: 0, undo: 'set server api/one weight 1' }] },
      level: 'warn',
      cause: /weight 0/,
      command: /weight 1/,
    },
  },
  options_dropped: {
    'an option contradicts another': {
      haproxy: { dropped: [{ service: 'api', name: 'one', reason: 'id 2: contradicts id 3' }] },
      level: 'warn',
      cause: /contradicts/,
      command: /explain api one/,
    },
  },
  configuration_invalid: {
    'the file was broken at SIGHUP': {
      more: { config_refused: 'services.api: is wrong' },
      level: 'bad',
      cause: /is wrong/,
      command: /synapse check/,
    },
  },
  state_file_unwritten: {
    'the folder is read-only': {
      more: { state_file: { path: '/var/lib/synapse/state.json', reason: 'EROFS' } },
      level: 'warn',
      cause: /EROFS/,
      command: /df -h \/var\/lib\/synapse/,
    },
  },
  files_unwritten: {
    'the folder of file_output is gone': {
      more: { file_output: { directory: '/srv/out', reason: 'ENOENT' } },
      level: 'warn',
      cause: /ENOENT/,
      command: /\/srv\/out/,
    },
  },
  fleet_id_shared: {
    'two hosts have the same id': {
      more: { fleet: { path: '/f', id: 'host-a', proxies: 2, requests: 0, reason: null, shared: true } },
      level: 'warn',
      command: /^etcdctl get --prefix \/f$/,
    },
  },
  not_ready: {
    'the first snapshot is not applied': {
      ready: 'the first snapshot has not been applied yet',
      level: 'warn',
      cause: /first snapshot/,
      command: /synapse status/,
    },
  },
};

function stateOf({ api, health, traffic: counts, haproxy, more }: State): SynapseState {
  const report = serviceReport({
    instances,
    ...api,
    haproxy: { servers: { ...servers, ...health }, traffic: { ...traffic, ...counts } },
  });
  return { services: { api: report }, haproxy: { sockets: [socket], problems: {}, ...haproxy }, ...more };
}

describe('each state that synapse can be in', () => {
  let manual: ReadonlySet<string>;
  before(async () => {
    manual = new Set(anchors(await readFile(join(root, 'synapse/problems.md'), 'utf8')));
  });

  for (const [kind, cases] of Object.entries(states)) {
    for (const [title, state] of Object.entries(cases)) {
      it(`shows verdict, cause, time and command when ${title} (${kind})`, () => {
        const found = findProblems(summaryOf(stateOf(state)), state.ready ?? null);
        const undated = found.find((problem) => problem.kind === kind);
        assert.ok(undated !== undefined, `found: ${found.map((problem) => problem.kind).join()}`);
        assert.equal(undated.since, null);
        const dated = {
          ...stateOf(state),
          since: Object.fromEntries(beginningKeys(undated).map((key) => [key, since])),
        };
        const problems = findProblems(summaryOf(dated), state.ready ?? null);
        const problem = problems.find((one) => one.kind === kind);
        assert.ok(problem !== undefined);
        assert.deepEqual([problem.level, problem.since], [state.level, since]);
        if (state.cause !== undefined) assert.match(problem.reason ?? '', state.cause);
        assert.match(problem.command, state.command);
        assert.notEqual(problem.remedy, '');
        const [page, heading = ''] = problem.manual.split('#');
        assert.equal(page, 'synapse/problems.md');
        assert.ok(manual.has(heading), `${page} has no heading #${heading}`);
        const daemon = { running: true, reason: null };
        const report = { ...dated, version: '1', reason: state.ready ?? null, daemon, problems, servers: null };
        const text = formatStatus(report, plain, now);
        for (const part of [problem.title, problem.command, `since ${since}, 120 s ago`]) {
          assert.ok(text.includes(part.replace('120 s', '2 min')), `${part}: ${text}`);
        }
        assert.doesNotMatch(text, /all is well/);
      });
    }
  }

  it('has a heading in the manual for each kind, and no other', () => {
    const headings = Object.values(problemKinds).map(({ heading }) => heading);
    assert.equal(new Set(headings).size, headings.length);
    assert.equal(manual.size, headings.length + 1);
  });

  it('is called well only when HAProxy itself vouches for the servers', () => {
    const text = (state: Partial<State>): string => {
      const whole = { level: 'warn', command: /./, ...state } as const;
      const found = { ...stateOf(whole), version: '1', reason: null, daemon: { running: true, reason: null } };
      return formatStatus({ ...found, problems: findProblems(summaryOf(found), null), servers: null }, plain, now);
    };
    assert.match(text({}), /^synapse 1: ready; all is well$/m);
    const unchecked = { up: 0, unchecked: 2 };
    assert.match(text({ health: unchecked }), /^synapse 1: ready; all is well$/m, 'its requests are answered');
    assert.match(
      text({ health: unchecked, traffic: { requests: 0 } }),
      /^synapse 1: ready; no problem is known, but nothing shows that servers of api answer: no check of HAProxy, no request$/m,
    );
  });
});
