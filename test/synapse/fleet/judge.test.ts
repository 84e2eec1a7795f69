import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type InstanceFacts,
  judgeInstance,
  type ServiceFacts,
  type VerdictState,
} from '../../../synapse/fleet/judge.ts';
import type { HaproxyProof, Rotation, ServerInWorker, ServerProof } from '../../../synapse/haproxy/evidence.ts';
import type { FoundServer } from '../../../synapse/haproxy/find-servers.ts';
import type { Persistence } from '../../../synapse/haproxy/spec/persistence.ts';

const none: Persistence = { survives: 'none', line: null };
const cookie: Persistence = { survives: 'drain', line: 'cookie SRV insert' };
const forced: Persistence = { survives: 'always', line: 'option persist' };

const inCharge = (rotation: Rotation, more: Partial<ServerInWorker> = {}): ServerInWorker => ({
  ...{ role: 'in charge', pid: 7, rotation, stopped: rotation !== 'open', weight: rotation === 'open' ? 1 : 0 },
  ...{ connections: 0, queued: 0, mayChoose: true, ...more },
});
const old = (rotation: Rotation, more: Partial<ServerInWorker> = {}): ServerInWorker =>
  inCharge(rotation, { role: 'old', pid: 3, mayChoose: false, ...more });

interface Case {
  readonly expect?: InstanceFacts['expect'];
  readonly wanted?: FoundServer['wanted'] | undefined;
  readonly persistence?: Persistence;
  readonly inFile?: Rotation | null;
  readonly workers?: readonly ServerInWorker[];
  readonly proof?: Partial<HaproxyProof>;
  readonly service?: Partial<ServiceFacts>;
  readonly fixed?: boolean;
  readonly fileOutput?: boolean;
}

const judge = (one: Case) => {
  const { expect = 'drained', persistence = none, inFile = 'drained', fixed = false, fileOutput = false } = one;
  const wanted = 'wanted' in one ? one.wanted : expect === 'up' ? 'ready' : 'drain';
  const { workers = [inCharge('drained')] } = one;
  const server: ServerProof = { backend: 'api', name: 's', inFile, workers };
  const servers: readonly FoundServer[] = [{ name: 's', wanted, fixed }];
  const found = { backend: 'api', servers, persistence };
  return judgeInstance({
    expect,
    services: [{ service: 'api', hasRecord: true, found, reason: null, ...one.service }],
    hasFileOutput: fileOutput,
    proof: { servers: [server], processes: 1, oldWorkers: 0, oldWorkersUnasked: 0, reason: null, ...one.proof },
  });
};

const cases: readonly [what: string, Case, VerdictState, RegExp | null][] = [
  ['a drained server without connections is quiet', {}, 'quiet', null],
  ['a server in maintenance is quiet', { workers: [inCharge('closed')] }, 'quiet', null],
  [
    'a server that one process does not have is quiet',
    { workers: [inCharge('drained'), inCharge('absent')] },
    'quiet',
    null,
  ],
  [
    'open connections are left',
    { workers: [inCharge('drained', { connections: 2 }), inCharge('drained', { connections: 1, queued: 1 })] },
    'applied',
    /3 connections.*1 request in its queue left/,
  ],
  ['a server in rotation is in use', { workers: [inCharge('open')] }, 'not-yet', /still in rotation/],
  [
    'a server in rotation in one of two processes is in use',
    { workers: [inCharge('drained'), inCharge('open')] },
    'not-yet',
    /still in rotation/,
  ],
  [
    'a server that HAProxy itself found down is in use',
    { workers: [inCharge('open', { stopped: true })] },
    'not-yet',
    /rotation/,
  ],
  [
    'a file that still has the server would bring it back',
    { inFile: 'open' },
    'not-yet',
    /haproxy\.cfg still has api\/s/,
  ],
  ['a file without the server does not bring it back', { inFile: 'absent' }, 'quiet', null],
  ['a file that is not ours may bring it back', { inFile: null }, 'cannot', /do_writes: false/],
  ['a HAProxy without a runtime API cannot be asked', { proof: { processes: 0 }, workers: [] }, 'cannot', /do_socket/],
  [
    'a HAProxy without a runtime API may have an instance that is not wanted',
    { proof: { processes: 0 }, wanted: undefined, workers: [], inFile: 'absent' },
    'cannot',
    /do_socket/,
  ],
  [
    'a record that says up is no drain',
    { wanted: 'ready', workers: [inCharge('closed')] },
    'not-yet',
    /says that it is up/,
  ],
  [
    'an old worker may choose a server that it has in rotation',
    { workers: [inCharge('drained'), old('open', { mayChoose: true })] },
    'not-yet',
    /1 worker of HAProxy on the way out may still choose/,
  ],
  ['an old worker without clients chooses nothing', { workers: [inCharge('drained'), old('open')] }, 'quiet', null],
  [
    'an old worker with clients does not choose a drained server',
    { workers: [inCharge('drained'), old('drained', { mayChoose: true })] },
    'quiet',
    null,
  ],
  [
    'a connection in an old worker is left',
    { workers: [inCharge('drained'), old('open', { connections: 1 })] },
    'applied',
    /1 connection left/,
  ],
  ['clients come back to a drained server', { persistence: cookie }, 'not-yet', /may come back: cookie SRV insert/],
  [
    'clients do not come back to a server in maintenance',
    { persistence: cookie, workers: [inCharge('closed')], inFile: 'closed' },
    'quiet',
    /is in maintenance: cookie SRV insert/,
  ],
  [
    'a reload would let clients come back to a server that the file only drains',
    { persistence: cookie, workers: [inCharge('closed')] },
    'not-yet',
    /haproxy\.cfg still has/,
  ],
  [
    'clients of an old worker come back to a drained server',
    {
      persistence: cookie,
      workers: [inCharge('closed'), old('drained', { mayChoose: true })],
      inFile: 'closed',
    },
    'not-yet',
    /on the way out/,
  ],
  [
    'nothing short of removing a server keeps clients away that the configuration forces there',
    { persistence: forced, workers: [inCharge('closed')], inFile: 'closed' },
    'cannot',
    /whatever its state: option persist/,
  ],
  [
    'a server of the configuration itself stays',
    { fixed: true, workers: [inCharge('open')] },
    'cannot',
    /configuration itself/,
  ],
  ['what HAProxy does not say is unknown', { proof: { reason: 'no reply' } }, 'unknown', /no reply/],
  ['what was not applied is unknown', { service: { reason: 'not applied' } }, 'unknown', /service api: not applied/],
  [
    'an instance without a server is unused',
    { wanted: undefined, workers: [inCharge('absent'), old('absent')], inFile: 'absent' },
    'unused',
    null,
  ],
  [
    'an instance whose server only an old worker has is not unused',
    { wanted: undefined, workers: [inCharge('absent'), old('open', { connections: 1 })], inFile: 'absent' },
    'applied',
    /1 connection left/,
  ],
  ['a service that HAProxy does not have uses no instance', { service: { found: undefined } }, 'unused', null],
  [
    'programs that read file_output cannot be asked',
    { service: { found: undefined }, fileOutput: true },
    'cannot',
    /file_output/,
  ],
  [
    'a server in maintenance without a record is gone',
    { expect: 'gone', wanted: undefined, workers: [inCharge('closed')], inFile: 'absent' },
    'quiet',
    null,
  ],
  ['a drained server is not gone', { expect: 'gone', wanted: undefined, inFile: 'absent' }, 'not-yet', /rotation/],
  ['a server with a record is not gone', { expect: 'gone', workers: [inCharge('closed')] }, 'not-yet', /has a record/],
  ['a server in rotation is up', { expect: 'up', workers: [inCharge('open')], inFile: 'open' }, 'applied', null],
  [
    'an old worker does not matter to a server that is up',
    { expect: 'up', workers: [inCharge('open'), old('absent')], inFile: 'open' },
    'applied',
    null,
  ],
  [
    'a server whose check fails is not up',
    { expect: 'up', workers: [inCharge('open', { stopped: true })], inFile: 'open' },
    'not-yet',
    /own check says that api\/s is down/,
  ],
  [
    'a server that one process lacks is not up',
    { expect: 'up', workers: [inCharge('open'), inCharge('absent')], inFile: 'open' },
    'not-yet',
    /not in HAProxy yet/,
  ],
  [
    'a server in maintenance is not up',
    { expect: 'up', workers: [inCharge('closed')], inFile: 'open' },
    'not-yet',
    /maintenance/,
  ],
  [
    'a server that the file lacks is not up',
    { expect: 'up', workers: [inCharge('open')], inFile: 'absent' },
    'not-yet',
    /haproxy\.cfg/,
  ],
  ['a server whose record says drain is not up', { expect: 'up', wanted: 'drain' }, 'not-yet', /record says so/],
  ['a record that the filters leave out is not used', { expect: 'up', wanted: undefined }, 'unused', null],
  [
    'an instance without a record is not up',
    { expect: 'up', wanted: undefined, service: { hasRecord: false } },
    'not-yet',
    /no record/,
  ],
];

describe('the verdict about an instance', () => {
  for (const [what, one, state, reason] of cases) {
    it(what, () => {
      const verdict = judge(one);
      assert.equal(verdict.state, state, verdict.reason ?? '');
      if (reason === null) assert.equal(verdict.reason, null);
      else assert.match(verdict.reason ?? '', reason);
    });
  }

  for (const [what, one, sticky] of [
    ['a drained server without connections', {}, [true]],
    ['a drained server with connections', { workers: [inCharge('drained', { connections: 1 })] }, [false]],
    ['a server that one of two processes has closed', { workers: [inCharge('closed'), inCharge('drained')] }, [true]],
    ['a server that the file has not closed yet', { workers: [inCharge('closed')] }, [true]],
    ['a closed server', { workers: [inCharge('closed')], inFile: 'closed' }, undefined],
    ['a server that is still in rotation', { workers: [inCharge('open')] }, undefined],
    ['a server whose record says up', { wanted: 'ready' }, undefined],
    ['a server without persistence', { persistence: none, inFile: 'open' }, undefined],
    ['a server that is to be up', { expect: 'up' }, undefined],
  ] as const satisfies readonly (readonly [string, Case, readonly boolean[] | undefined])[]) {
    it(`${sticky === undefined ? 'does not close' : `closes, ${sticky[0] ? 'at once' : 'later'},`} ${what}`, () => {
      const verdict = judge({ persistence: cookie, ...one });
      assert.deepEqual(
        verdict.sticky?.map(({ isIdle }) => isIdle),
        sticky,
      );
    });
  }

  it('adds up the connections of all workers, and names the old workers', () => {
    const workers = [inCharge('drained', { connections: 2 }), old('drained', { connections: 3, queued: 1 })];
    const { state, connections, queued, oldWorkers, oldWorkersUnasked } = judge({
      workers,
      proof: { oldWorkers: 2, oldWorkersUnasked: 1 },
    });
    assert.deepEqual(
      { state, connections, queued, oldWorkers, oldWorkersUnasked },
      {
        ...{ state: 'applied', connections: 5, queued: 1 },
        ...{ oldWorkers: 2, oldWorkersUnasked: 1 },
      },
    );
  });

  it('needs every service that has the instance', () => {
    const server = (backend: string, rotation: Rotation): ServerProof => ({
      ...{ backend, name: 's', inFile: 'drained', workers: [inCharge(rotation)] },
    });
    const service = (backend: string): ServiceFacts => ({
      ...{ service: backend, hasRecord: true, reason: null },
      found: { backend, servers: [{ name: 's', wanted: 'drain', fixed: false }], persistence: none },
    });
    const facts = (second: Rotation): InstanceFacts => ({
      expect: 'drained',
      services: [service('a'), service('b')],
      hasFileOutput: false,
      proof: {
        servers: [server('a', 'drained'), server('b', second)],
        ...{ processes: 1, oldWorkers: 0, oldWorkersUnasked: 0, reason: null },
      },
    });
    assert.equal(judgeInstance(facts('drained')).state, 'quiet');
    assert.match(judgeInstance(facts('open')).reason ?? '', /b\/s is still in rotation/);
  });
});
