import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type InstanceFields, makeInstance } from '../../../../common/instance.ts';
import { commandsOf, planBackend } from '../../../../synapse/haproxy/runtime/plan.ts';
import { buildBackendSpec } from '../../../../synapse/haproxy/spec/build-backend.ts';
import { capabilitiesOf } from '../../../../synapse/haproxy/spec/capabilities.ts';
import { ServerIds } from '../../../../synapse/haproxy/spec/desired-service.ts';
import { textsOf } from '../../../../synapse/haproxy/spec/reload-reason.ts';
import { serverOf } from '../../../../synapse/haproxy/spec/server.ts';
import type { BackendSpec, RunningServer, Server } from '../../../../synapse/haproxy/spec/types.ts';
import { serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';

interface Case {
  readonly what: string;
  readonly version?: string;
  readonly config?: Record<string, unknown>;
  readonly defaults?: readonly string[];
  /** Servers that run; those of `desired` by their address, with what is different about them. */
  readonly running?: Readonly<Record<string, Partial<RunningServer>>> | undefined;
  readonly desired: readonly InstanceFields[];
  readonly leaving?: readonly string[];
  readonly commands?: readonly string[];
  readonly reload?: readonly string[];
  readonly held?: readonly string[];
}

const a = { host: '10.0.0.1', port: 80 };
const b = { host: '10.0.0.2', port: 80 };
const A = '10.0.0.1:80';
const B = '10.0.0.2:80';
const pool = 'pool-max-conn -1 pool-purge-delay 5s';

const cases: readonly Case[] = [
  { what: 'nothing to do where all is right', running: { [A]: {}, [B]: {} }, desired: [a, b] },
  {
    what: 'a new server is added with a number, checked and opened, before another one is closed',
    running: { [B]: {} },
    desired: [a],
    commands: [
      `add server api/${A} ${A} id 2 check ${pool}`,
      `enable health api/${A}`,
      `set server api/${A} state ready`,
      `set server api/${B} state maint`,
    ],
  },
  {
    what: 'what default-server says is said again, except what only the file takes',
    defaults: ['mode http', 'default-server inter 2s rise 3 init-addr none'],
    config: { server_options: 'weight 5' },
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} inter 2s rise 3 id 1 weight 5 ${pool}`, `set server api/${A} state ready`],
  },
  {
    what: 'HAProxy 3.0 needs no pool options',
    version: '3.0.11',
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} id 1 check`, `enable health api/${A}`, `set server api/${A} state ready`],
  },
  {
    what: 'a server without its cookie serves at once and waits for a reload on 2.6',
    config: { server_options: '', listen: ['cookie SRV insert'] },
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} id 1 ${pool}`, `set server api/${A} state ready`],
    reload: ['without its cookie'],
  },
  {
    what: 'a cookie is given at run time where it can be',
    version: '3.0.11',
    config: { server_options: '', listen: ['cookie SRV insert'] },
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} id 1 cookie ${A}`, `set server api/${A} state ready`],
  },
  {
    what: 'a backup server is added as one',
    running: {},
    desired: [{ ...a, backup: true }],
    commands: [
      `add server api/${A} ${A} id 1 check backup ${pool}`,
      `enable health api/${A}`,
      `set server api/${A} state ready`,
    ],
  },
  {
    what: 'a server that is drained when it appears never takes traffic',
    config: { listen: ['mode http'] },
    running: {},
    desired: [{ ...a, state: 'drain' }],
    commands: [`add server api/${A} ${A} id 1 ${pool}`, `set server api/${A} state drain`],
  },
  {
    what: 'HAProxy 2.4 cannot add servers',
    version: '2.4.0',
    running: {},
    desired: [a],
    reload: ['cannot add servers'],
  },
  {
    what: 'a host name needs a reload',
    running: {},
    desired: [{ host: 'db.internal', port: 1 }],
    reload: ['its host is a name'],
  },
  {
    what: 'a map-based hash needs a reload for a new server, and none to take one out',
    config: { server_options: '', backend: ['balance source'] },
    running: { [B]: {} },
    desired: [a],
    commands: [`set server api/${B} state maint`],
    reload: ['fixed set of servers'],
  },
  {
    what: 'a consistent hash takes servers',
    config: { server_options: '', backend: ['balance source', 'hash-type consistent'] },
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} id 1 ${pool}`, `set server api/${A} state ready`],
  },
  {
    what: 'quoted options need a reload',
    config: { server_options: 'sni str("a;b")' },
    running: {},
    desired: [a],
    reload: ['quotes'],
  },
  {
    what: 'another limit of connections is set',
    running: { [A]: { maxconn: 5 }, [B]: { maxconn: null } },
    desired: [
      { ...a, serverOptions: 'maxconn 7' },
      { ...b, serverOptions: 'maxconn 9' },
    ],
    commands: [`set maxconn server api/${A} 7`, `set maxconn server api/${B} 9`],
  },
  {
    what: 'a limit that is gone is lifted',
    running: { [A]: { maxconn: 5 } },
    desired: [a],
    commands: [`set maxconn server api/${A} 0`],
  },
  {
    what: 'a limit that is gone gives way to the one of all servers',
    defaults: ['mode http', 'default-server maxconn 30'],
    running: { [A]: { maxconn: 5 } },
    desired: [a],
    commands: [`set maxconn server api/${A} 30`],
  },
  {
    what: 'a limit that may or may not have been set is set again, before the server is opened',
    running: { [A]: { maxconn: Number.NaN, maintenance: true, ours: true } },
    desired: [{ ...a, serverOptions: 'maxconn 7' }],
    commands: [`set maxconn server api/${A} 7`, `set server api/${A} state ready`],
  },
  {
    what: 'a limit that nobody knows stays',
    running: { [A]: { maxconn: undefined } },
    desired: [{ ...a, serverOptions: 'maxconn 7' }],
  },
  {
    what: 'a limit that goes with a minconn needs a reload',
    config: { server_options: 'minconn 2' },
    running: { [A]: { fixedWords: 'minconn 2 maxconn 5' } },
    desired: [{ ...a, serverOptions: 'maxconn 6' }],
    reload: ["the server's options changed"],
  },
  {
    what: 'a server that comes back is opened again',
    running: { [A]: { maintenance: true, ours: true } },
    desired: [a],
    commands: [`set server api/${A} state ready`],
  },
  {
    what: 'one that comes back with another weight has both put right',
    running: { [A]: { maintenance: true, ours: true, weight: 3, ourWeight: 3 } },
    desired: [{ ...a, weight: 9 }],
    commands: [`set server api/${A} state ready`, `set server api/${A} weight 9`],
  },
  {
    what: 'one that comes back with other options is opened and waits for a reload',
    running: { [A]: { maintenance: true, ours: true } },
    desired: [{ ...a, serverOptions: 'inter 5s' }],
    commands: [`set server api/${A} state ready`],
    reload: ["the server's options changed"],
  },
  {
    what: 'drain and back',
    running: { [A]: {}, [B]: { drained: true, ours: true } },
    desired: [{ ...a, state: 'drain' }, b],
    commands: [`set server api/${B} state ready`, `set server api/${A} state drain`],
  },
  {
    what: 'a weight of the registry is set',
    running: { [A]: {} },
    desired: [{ ...a, weight: 7 }],
    commands: [`set server api/${A} weight 7`],
  },
  {
    what: 'a weight cannot be set with a map-based hash',
    config: { server_options: '', backend: ['balance source'] },
    running: { [A]: {} },
    desired: [{ ...a, weight: 7 }],
    reload: ['fixed weights'],
  },
  {
    what: 'a server that the file had drained gets its weight back',
    running: { [A]: { weight: 0, ourWeight: 0 } },
    desired: [a],
    commands: [`set server api/${A} weight 1`],
  },
  {
    what: 'what an operator did stays, and is reported',
    running: { [A]: { maintenance: true }, [B]: { drained: true } },
    desired: [a, b],
    held: [`${A} maintenance`, `${B} drain`],
  },
  {
    what: "an operator's weight stays until the registry has a new one",
    running: { [A]: { weight: 50 }, [B]: { weight: 50 } },
    desired: [a, { ...b, weight: 9 }],
    commands: [`set server api/${B} weight 9`],
    held: [`${A} weight`],
  },
  {
    what: "an operator's maintenance outlives a drain of ours",
    running: { [A]: { maintenance: true } },
    desired: [{ ...a, state: 'drain' }],
    held: [`${A} maintenance`],
  },
  {
    what: 'a server that is out of service stays so when it is not wanted',
    running: { [A]: { maintenance: true } },
    desired: [],
  },
  {
    what: 'a withdrawn server that was drained may finish',
    running: { [A]: { drained: true, ours: true }, [B]: {} },
    desired: [],
    leaving: [A, B],
    commands: [`set server api/${B} state drain`],
  },
  {
    what: 'when its time is over it goes into maintenance',
    running: { [A]: { drained: true, ours: true } },
    desired: [],
    commands: [`set server api/${A} state maint`],
  },
  {
    what: "servers with names that are not ours are somebody else's",
    running: { mine: { address: A }, 'x_10.0.0.9:1': { address: A } },
    desired: [],
  },
  {
    what: 'servers that the configuration itself names are left alone',
    config: { server_options: '', backend: [`server ${A} ${A} backup`] },
    running: { [A]: {} },
    desired: [],
  },
  {
    what: 'a backend that is not there needs a reload',
    running: undefined,
    desired: [a],
    reload: ['backend api is new'],
  },
  {
    what: 'an address is never changed under a name',
    running: { [A]: { address: '10.9.9.9:80' } },
    desired: [a],
    reload: ["the server's address is 10.9.9.9:80"],
  },
  {
    what: 'IPv6 in another spelling is the same address',
    running: { '2001:db8:0:0::1:80': { address: '2001:db8::1:80', fixedWords: undefined } },
    desired: [{ host: '2001:db8:0:0::1', port: 80 }],
  },
];

describe('the plan between what runs and what is desired', () => {
  for (const one of cases) {
    it(one.what, () => {
      const { plan } = planOf(one);
      assert.deepEqual(
        commandsOf(plan).map(({ text }) => text),
        one.commands ?? [],
      );
      assert.equal(plan.reload.length, one.reload?.length ?? 0, textsOf(plan.reload).join('; '));
      one.reload?.forEach((part, index) => {
        assert.ok(plan.reload[index]?.text.includes(part), plan.reload[index]?.text);
      });
      assert.deepEqual(
        plan.held.map(({ name, held }) => `${name} ${held}`),
        one.held ?? [],
      );
    });
  }

  it('leaves nothing to do once it has been carried out', () => {
    for (const one of cases) {
      const { plan, again } = planOf(one);
      const next = again();
      assert.deepEqual(commandsOf(next), [], one.what);
      assert.deepEqual(next.held, plan.held, one.what);
    }
  });
});

function planOf(one: Case) {
  const config = plainConfig({ defaults: one.defaults ?? ['mode http'] });
  const structure = buildBackendSpec(
    'api',
    serviceConfig(one.config ?? { server_options: 'check' }),
    config,
  ) as BackendSpec;
  const desired = new Map<string, Server>();
  for (const fields of one.desired) {
    const server = serverOf(makeInstance(fields), structure.servers);
    desired.set(server.name, server);
  }
  const plain = (address: string): RunningServer => {
    const colon = address.lastIndexOf(':');
    const bare = makeInstance({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
    const { fixedWords } = serverOf(bare, structure.servers);
    const name = address;
    return {
      name,
      id: 1,
      address,
      maintenance: false,
      drained: false,
      failing: false,
      weight: 1,
      ourWeight: 1,
      ours: false,
      fixedWords,
      maxconn: null,
    };
  };
  const running =
    one.running &&
    new Map(
      Object.entries(one.running).map(([name, different]): [string, RunningServer] => [
        name,
        { ...(different.address === undefined ? plain(name) : { ...plain(A), name }), ...different },
      ]),
    );
  const ids = new ServerIds(100);
  ids.reset([...(running?.keys() ?? [])].map((name, index) => [name, index + 1] as const));
  const context = {
    capabilities: capabilitiesOf(one.version ?? '2.6.12'),
    idOf: (server: Server) => ids.claim(server.name, server.explicitId),
    isLeaving: (name: string) => one.leaving?.includes(name) ?? false,
  };
  const plan = planBackend(structure, running, desired, context);
  const again = () => {
    const after = new Map(running);
    for (const change of plan.changes) after.set(change.name, change.after);
    return planBackend(structure, running && after, desired, context);
  };
  return { plan, again };
}
