import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { exec } from '../../common/daemon/exec.ts';
import { thisHost } from '../../common/host.ts';
import { type Instance, parseInstance } from '../../common/instance.ts';
import { InvalidRecord } from '../../common/instance-fields.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import type { RuntimeCommand } from '../../synapse/haproxy/runtime/commands.ts';
import { connectRuntime, type RuntimeConnection } from '../../synapse/haproxy/runtime/connection.ts';
import { planServers } from '../../synapse/haproxy/runtime/plan.ts';
import { judge } from '../../synapse/haproxy/runtime/reply.ts';
import { buildBackendSpec } from '../../synapse/haproxy/spec/build-backend.ts';
import { capabilitiesOf } from '../../synapse/haproxy/spec/capabilities.ts';
import { ServerIds } from '../../synapse/haproxy/spec/desired-service.ts';
import { isServed, serverOf } from '../../synapse/haproxy/spec/server.ts';
import type { BackendSpec } from '../../synapse/haproxy/spec/types.ts';
import { type TestHaproxy, testHaproxy } from '../support/haproxy/haproxy.ts';
import { instance, serviceConfig, testConfig } from '../support/haproxy/haproxy-output.ts';
import { fileText, plainConfig } from '../support/haproxy/haproxy-text.ts';
import { randomRecord } from '../support/haproxy/random-records.ts';
import { type HaproxyVersion, haproxyVersions } from '../support/haproxy/versions.ts';
import { property, propertyWith } from './property.ts';

/** Its host is on loopback, because HAProxy may check it. */
const record = randomRecord({ hosts: ['127.0.9.9', '127.0.0.1', '::1', 'localhost'] });

/** The instance of a record; undefined when its host or port cannot be used, for which alone it may be refused. */
function taken(fields: object): Instance | undefined {
  try {
    return parseInstance(JSON.stringify(fields));
  } catch (error) {
    assert.ok(error instanceof InvalidRecord, String(error));
    assert.match(error.message, /^(host|port) /);
    return undefined;
  }
}

const service = { port: 1, backend_order: 'asc', backend: ['cookie SRV insert'], server_options: 'check inter 2s' };
// From 3.3 on, HAProxy refuses a frontend and a backend of one name.
const suffix = { frontend_suffix: '.in' };
const plain = plainConfig({
  ...suffix,
  defaults: ['mode http', 'timeout connect 1s', 'timeout client 1s', 'timeout server 1s'],
});
const base = instance(9);

/** The commands that add the server of an instance to a running HAProxy; none when only a reload can. */
function commandsFor(one: Instance, version: string, ids: ServerIds): readonly RuntimeCommand[] {
  const spec = buildBackendSpec('api', serviceConfig(service), plain) as BackendSpec;
  const wanted = [{ name: one.id, server: isServed(one) ? serverOf(one, spec.servers) : undefined }];
  const { changes } = planServers(spec, new Map(), wanted, {
    capabilities: capabilitiesOf(version),
    idOf: (server) => ids.claim(server.name, server.askedId),
    isLeaving: () => false,
  });
  return changes.flatMap(({ commands }) => commands);
}

function onlyOneLineMore(fields: object): void {
  const one = taken(fields);
  if (one !== undefined) assertOneLineMore(one);
}

/** @throws when an instance is more than one server line, or commands about more than its own server */
export function assertOneLineMore(one: Instance): void {
  if (one.id === base.id) return;
  const [before, after] = [[base], [base, one]].map((instances) =>
    fileText(plain, { api: { config: service, instances } }).split('\n'),
  ) as [string[], string[]];
  const at = after.findIndex((line) => line.startsWith(`\tserver ${one.id} `));
  if (one.state === 'down') assert.equal(at, -1);
  else assert.match(after[at] ?? '', /^\tserver \S+ \S+ id \d+ [ -~]+$/);
  if (at >= 0) assert.ok((after.splice(at, 1)[0] ?? '').split(/\s+/).length < 64);
  assert.deepEqual(after, before);
  for (const version of haproxyVersions) {
    for (const { text } of commandsFor(one, version, new ServerIds(65_535))) {
      assert.match(text, /^(add server|set server|enable health|enable agent) api\/[A-Za-z0-9_.:-]+( [ -~]*)?$/);
      assert.ok(!/[;#"'\\$<]/.test(text) && text.split(' ').length < 64, text);
    }
  }
}

/** A HAProxy that runs, a connection to it, and the numbers of its servers. */
interface Running {
  readonly haproxy: TestHaproxy;
  readonly connection: RuntimeConnection;
  readonly ids: ServerIds;
  readonly end: AbortController;
}

async function open(version: HaproxyVersion): Promise<Running> {
  const haproxy = await testHaproxy(version);
  const config = testConfig(haproxy, { ...suffix, server_order_seed: 1 });
  const port = await freePort();
  await writeFile(haproxy.file, fileText(config, { api: { config: { ...service, port }, instances: [base] } }));
  await haproxy.start();
  const end = new AbortController();
  const options = { connectUnix: thisHost.connectUnix, replyTimeoutMs: 10_000 };
  const connection = await connectRuntime(haproxy.socket, options, end.signal);
  const ids = new ServerIds(65_535);
  ids.claim(base.id, 1);
  return { haproxy, connection, ids, end };
}

async function close({ haproxy, end }: Running): Promise<void> {
  end.abort();
  await haproxy.close();
}

let made = 0;

async function acceptedBy(version: HaproxyVersion, records: readonly object[], running: Running): Promise<void> {
  const { haproxy, connection, ids } = running;
  // Names of their own: the servers of earlier cases are still there.
  const instances = records
    .map((fields) => taken({ ...fields, name: `c${made++}` }))
    .filter((one) => one !== undefined);
  const candidate = join(haproxy.folder, 'candidate.cfg');
  await writeFile(candidate, fileText(plain, { api: { config: service, instances } }));
  const { code, stdout, stderr } = await exec([haproxy.program, '-c', '-f', candidate], { timeoutMs: 60_000 });
  assert.equal(code, 0, `${stdout}${stderr}`);
  const commands = instances.flatMap((one) => commandsFor(one, version, ids));
  const replies = await connection.send(commands.map(({ text }) => text));
  commands.forEach(({ kind, text }, index) => {
    assert.deepEqual(judge(kind, replies[index] ?? ''), { result: 'done' }, text);
  });
}

export const properties = [
  property(
    'a record becomes one server line and commands about one server, or has no usable address',
    record,
    onlyOneLineMore,
    { cases: 100 },
  ),
  ...haproxyVersions.map((version) =>
    propertyWith(
      `HAProxy ${version} accepts the file and the commands for any records`,
      { open: () => open(version), close },
      fc.array(record, { minLength: 1, maxLength: 30 }),
      (records, running) => acceptedBy(version, records, running),
      { cases: 5 },
    ),
  ),
];
