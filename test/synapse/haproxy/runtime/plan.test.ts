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
  { what: 'right servers need no commands', running: { [A]: {}, [B]: {} }, desired: [a, b] },
  {
    what: 'a new server is added with an id, checked and opened before another server is closed',
    running: { [B]: {} },
    desired: [a],
    commands: [
      `add server api/${A} ${A} id 2 check ${pool}`,
      `enable health api/${A}`,
      `set server api/${A} state ready`,
      `set server api/${B} state maint`,
      `set server api/${B} weight 0`,
    ],
  },
  {
    what: 'a new server gets the options of default-server, except those that only the file accepts',
    defaults: ['mode http', 'default-server inter 2s rise 3 init-addr none'],
    config: { server_options: 'weight 5' },
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} inter 2s rise 3 id 1 weight 5 ${pool}`, `set server api/${A} state ready`],
  },
  {
    what: 'a new server gets no pool options in HAProxy 3.0',
    version: '3.0.11',
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} id 1 check`, `enable health api/${A}`, `set server api/${A} state ready`],
  },
  {
    what: 'a new server that lacks its cookie in 2.6 serves at once and needs a reload',
    config: { server_options: '', listen: ['cookie SRV insert'] },
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} id 1 ${pool}`, `set server api/${A} state ready`],
    reload: ['without its cookie'],
  },
  {
    what: 'a new server waits for the reload in 2.6 when it is to have its cookie first',
    config: { server_options: '', listen: ['cookie SRV insert'], wait_for_cookie: true },
    running: {},
    desired: [a],
    commands: [],
    reload: ['it would lack its cookie'],
  },
  {
    what: 'a new server of a backend with dynamic cookies needs a reload in 2.6',
    config: { server_options: '', listen: ['cookie SRV insert dynamic'] },
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} id 1 ${pool}`, `set server api/${A} state ready`],
    reload: ['without its cookie'],
  },
  {
    what: 'a new server of a backend with dynamic cookies gets none of its own in 3.0',
    version: '3.0.11',
    config: { server_options: '', listen: ['cookie SRV insert dynamic'], wait_for_cookie: true },
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} id 1`, `set server api/${A} state ready`],
  },
  {
    what: 'a new server gets its cookie at run time in 3.0',
    version: '3.0.11',
    config: { server_options: '', listen: ['cookie SRV insert'] },
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} id 1 cookie ${A}`, `set server api/${A} state ready`],
  },
  {
    what: 'a new backup server is added as a backup server',
    running: {},
    desired: [{ ...a, backup: true }],
    commands: [
      `add server api/${A} ${A} id 1 check backup ${pool}`,
      `enable health api/${A}`,
      `set server api/${A} state ready`,
    ],
  },
  {
    what: 'a new server that drains already is never opened',
    config: { listen: ['mode http'] },
    running: {},
    desired: [{ ...a, state: 'drain' }],
    commands: [
      `add server api/${A} ${A} id 1 ${pool}`,
      `set server api/${A} state drain`,
      `set server api/${A} weight 0`,
    ],
  },
  {
    what: 'a new server needs a reload in HAProxy 2.4',
    version: '2.4.0',
    running: {},
    desired: [a],
    reload: ['cannot add servers'],
  },
  {
    what: 'a new server with a host name needs a reload',
    running: {},
    desired: [{ host: 'db.internal', port: 1 }],
    reload: ['its host is a name'],
  },
  {
    what: 'a backend with a map-based hash needs a reload for a new server, but none to close one',
    config: { server_options: '', backend: ['balance source'] },
    running: { [B]: {} },
    desired: [a],
    commands: [`set server api/${B} state maint`],
    reload: ['fixed set of servers'],
  },
  {
    what: 'a backend with a consistent hash takes new servers',
    config: { server_options: '', backend: ['balance source', 'hash-type consistent'] },
    running: {},
    desired: [a],
    commands: [`add server api/${A} ${A} id 1 ${pool}`, `set server api/${A} state ready`],
  },
  {
    what: 'a new server with quoted options needs a reload',
    config: { server_options: 'sni str("a;b")' },
    running: {},
    desired: [a],
    reload: ['quotes'],
  },
  {
    what: 'a changed maxconn is set',
    running: { [A]: { maxconn: 5 }, [B]: { maxconn: null } },
    desired: [
      { ...a, serverOptions: 'maxconn 7' },
      { ...b, serverOptions: 'maxconn 9' },
    ],
    commands: [`set maxconn server api/${A} 7`, `set maxconn server api/${B} 9`],
  },
  {
    what: 'a removed maxconn becomes no limit',
    running: { [A]: { maxconn: 5 } },
    desired: [a],
    commands: [`set maxconn server api/${A} 0`],
  },
  {
    what: 'a removed maxconn becomes the maxconn of default-server',
    defaults: ['mode http', 'default-server maxconn 30'],
    running: { [A]: { maxconn: 5 } },
    desired: [a],
    commands: [`set maxconn server api/${A} 30`],
  },
  {
    what: 'an uncertain maxconn is set again before the server is opened',
    running: { [A]: { maxconn: Number.NaN, maintenance: true, ours: true } },
    desired: [{ ...a, serverOptions: 'maxconn 7' }],
    commands: [`set maxconn server api/${A} 7`, `set server api/${A} state ready`],
  },
  {
    what: 'an unknown maxconn stays',
    running: { [A]: { maxconn: undefined } },
    desired: [{ ...a, serverOptions: 'maxconn 7' }],
  },
  {
    what: 'a changed maxconn needs a reload if there is a minconn',
    config: { server_options: 'minconn 2' },
    running: { [A]: { fixedWords: 'minconn 2 maxconn 5' } },
    desired: [{ ...a, serverOptions: 'maxconn 6' }],
    reload: ["the server's options changed"],
  },
  {
    what: 'a server that comes back is opened',
    running: { [A]: { maintenance: true, ours: true } },
    desired: [a],
    commands: [`set server api/${A} state ready`],
  },
  {
    what: 'a server that comes back with another weight is opened and gets the weight',
    running: { [A]: { maintenance: true, ours: true, weight: 3, ourWeight: 3 } },
    desired: [{ ...a, weight: 9 }],
    commands: [`set server api/${A} state ready`, `set server api/${A} weight 9`],
  },
  {
    what: 'a server that comes back with other options is opened and needs a reload',
    running: { [A]: { maintenance: true, ours: true } },
    desired: [{ ...a, serverOptions: 'inter 5s' }],
    commands: [`set server api/${A} state ready`],
    reload: ["the server's options changed"],
  },
  {
    what: 'a server is drained, and another one is opened after its drain',
    running: { [A]: {}, [B]: { drained: true, ours: true } },
    desired: [{ ...a, state: 'drain' }, b],
    commands: [`set server api/${B} state ready`, `set server api/${A} state drain`, `set server api/${A} weight 0`],
  },
  {
    what: 'a server that was drained by us, and marked so, is opened with its weight',
    running: { [A]: { drained: true, ours: true, weight: 0, ourWeight: 0 } },
    desired: [a],
    commands: [`set server api/${A} state ready`, `set server api/${A} weight 1`],
  },
  {
    what: 'a drain leaves a weight that an operator has set',
    running: { [A]: { weight: 50 } },
    desired: [{ ...a, state: 'drain' }],
    commands: [`set server api/${A} state drain`],
  },
  {
    what: 'a drain sets no weight with a map-based hash',
    config: { server_options: '', backend: ['balance source'] },
    running: { [A]: {} },
    desired: [{ ...a, state: 'drain' }],
    commands: [`set server api/${A} state drain`],
  },
  {
    what: 'a changed weight is set',
    running: { [A]: {} },
    desired: [{ ...a, weight: 7 }],
    commands: [`set server api/${A} weight 7`],
  },
  {
    what: 'a changed weight needs a reload with a map-based hash',
    config: { server_options: '', backend: ['balance source'] },
    running: { [A]: {} },
    desired: [{ ...a, weight: 7 }],
    reload: ['fixed weights'],
  },
  {
    what: 'a server that the file drained with weight 0 gets its weight back',
    running: { [A]: { weight: 0, ourWeight: 0 } },
    desired: [a],
    commands: [`set server api/${A} weight 1`],
  },
  {
    what: 'maintenance and drains of an operator stay and are reported',
    running: { [A]: { maintenance: true }, [B]: { drained: true } },
    desired: [a, b],
    held: [`${A} maintenance`, `${B} drain`],
  },
  {
    what: "an operator's weight stays until the registry has another one",
    running: { [A]: { weight: 50 }, [B]: { weight: 50 } },
    desired: [a, { ...b, weight: 9 }],
    commands: [`set server api/${B} weight 9`],
    held: [`${A} weight`],
  },
  {
    what: "an operator's maintenance stays when the server is to drain",
    running: { [A]: { maintenance: true } },
    desired: [{ ...a, state: 'drain' }],
    held: [`${A} maintenance`],
  },
  {
    what: 'an unwanted server in maintenance with the mark of ours becomes ours',
    running: { [A]: { maintenance: true, weight: 0 } },
    desired: [],
    commands: [`set server api/${A} weight 0`],
  },
  {
    what: 'an unwanted server in maintenance that is ours needs no command',
    running: { [A]: { maintenance: true, weight: 0, ours: true } },
    desired: [],
  },
  {
    what: 'an unwanted server in maintenance needs no command',
    running: { [A]: { maintenance: true } },
    desired: [],
  },
  {
    what: 'a withdrawn server drains until its time is over',
    running: { [A]: { drained: true, ours: true }, [B]: {} },
    desired: [],
    leaving: [A, B],
    commands: [`set server api/${B} state drain`],
  },
  {
    what: 'a withdrawn server goes into maintenance when its time is over',
    running: { [A]: { drained: true, ours: true } },
    desired: [],
    commands: [`set server api/${A} state maint`, `set server api/${A} weight 0`],
  },
  {
    what: 'a server that was closed gets its weight back with its requests',
    running: { [A]: { maintenance: true, ours: true, weight: 0, ourWeight: 0 } },
    desired: [a],
    commands: [`set server api/${A} state ready`, `set server api/${A} weight 1`],
  },
  {
    what: 'a server that is not named after its address is left alone',
    running: { mine: { address: A }, 'x_10.0.0.9:1': { address: A } },
    desired: [],
  },
  {
    what: 'a server line of the configuration is left alone',
    config: { server_options: '', backend: [`server ${A} ${A} backup`] },
    running: { [A]: {} },
    desired: [],
  },
  {
    what: 'a new backend needs a reload',
    running: undefined,
    desired: [a],
    reload: ['backend api is new'],
  },
  {
    what: 'another address under the same name needs a reload',
    running: { [A]: { address: '10.9.9.9:80' } },
    desired: [a],
    reload: ["the server's address is 10.9.9.9:80"],
  },
  {
    what: 'an IPv6 address in another spelling is the same address',
    running: { '2001:db8:0:0::1:80': { address: '2001:db8::1:80', fixedWords: undefined } },
    desired: [{ host: '2001:db8:0:0::1', port: 80 }],
  },
];

describe('planning the servers of a backend', () => {
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

  it('plans nothing more when a plan has been carried out', () => {
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
  const spec = buildBackendSpec('api', serviceConfig(one.config ?? { server_options: 'check' }), config) as BackendSpec;
  const desired = new Map<string, Server>();
  for (const fields of one.desired) {
    const server = serverOf(makeInstance(fields), spec.servers);
    desired.set(server.name, server);
  }
  const plain = (address: string): RunningServer => {
    const colon = address.lastIndexOf(':');
    const bare = makeInstance({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
    const { fixedWords } = serverOf(bare, spec.servers);
    const name = address;
    return {
      name,
      id: 1,
      address,
      maintenance: false,
      drained: false,
      failing: false,
      withheld: false,
      checked: false,
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
    idOf: (server: Server) => ids.claim(server.name, server.askedId),
    isLeaving: (name: string) => one.leaving?.includes(name) ?? false,
  };
  const plan = planBackend(spec, running, desired, context);
  const again = () => {
    const after = new Map(running);
    for (const change of plan.changes) after.set(change.name, change.after);
    return planBackend(spec, running && after, desired, context);
  };
  return { plan, again };
}
