import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { connect, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { freePorts } from '../../../../etcd-cluster/members/ports.ts';
import { boundAddresses, type Collision, collisionOf } from '../../../../synapse/haproxy/spec/bound-addresses.ts';
import { type TestHaproxy, testHaproxy } from '../../../support/haproxy/haproxy.ts';
import { haproxyVersions } from '../../../support/haproxy/versions.ts';

/** `PORT`, `NEXT` (the port after it) and `FOLDER` are replaced. */
interface Pair {
  readonly what: string;
  readonly first: string;
  readonly second: string;
  readonly collision: Collision | undefined;
}

const pairs: readonly Pair[] = [
  { what: 'one address twice', first: 'bind 127.0.0.1:PORT', second: 'bind 127.0.0.1:PORT', collision: 'shared' },
  { what: 'all addresses twice', first: 'bind :PORT', second: 'bind *:PORT', collision: 'shared' },
  { what: 'all addresses in two forms', first: 'bind 0.0.0.0:PORT', second: 'bind ipv4@*:PORT', collision: 'shared' },
  { what: 'a name and its address', first: 'bind localhost:PORT', second: 'bind 127.0.0.1:PORT', collision: 'shared' },
  { what: 'IPv6 in two spellings', first: 'bind [::1]:PORT', second: 'bind 0:0::1:PORT', collision: 'shared' },
  {
    what: 'a range with a port',
    first: 'bind 127.0.0.1:PORT-NEXT',
    second: 'bind 127.0.0.1:NEXT',
    collision: 'shared',
  },
  {
    what: 'the second of several addresses',
    first: 'bind 127.0.0.9:PORT,127.0.0.1:PORT',
    second: 'bind 127.0.0.1:PORT',
    collision: 'shared',
  },
  { what: 'localhost beside all', first: 'bind 0.0.0.0:PORT', second: 'bind localhost:PORT', collision: 'covered' },
  { what: 'all beside loopback', first: 'bind 127.0.0.1:PORT', second: 'bind :PORT', collision: 'covered' },
  { what: 'IPv4 beside both', first: 'bind :::PORT', second: 'bind 0.0.0.0:PORT', collision: 'covered' },
  { what: 'IPv4 beside v4v6', first: 'bind 0.0.0.0:PORT', second: 'bind :::PORT v4v6', collision: 'covered' },
  { what: 'IPv6 loopback beside both', first: 'bind :::PORT', second: 'bind [::1]:PORT', collision: 'covered' },
  { what: 'IPv4 beside IPv6 alone', first: 'bind :::PORT v6only', second: 'bind 0.0.0.0:PORT', collision: undefined },
  { what: 'two loopback addresses', first: 'bind 127.0.0.2:PORT', second: 'bind 127.0.0.1:PORT', collision: undefined },
  { what: 'two families', first: 'bind [::1]:PORT', second: 'bind 127.0.0.1:PORT', collision: undefined },
  { what: 'IPv6 loopback beside IPv4', first: 'bind [::1]:PORT', second: 'bind *:PORT', collision: undefined },
  { what: 'two ports', first: 'bind 127.0.0.1:PORT', second: 'bind 127.0.0.1:NEXT', collision: undefined },
  {
    what: 'one unix socket in two forms',
    first: 'bind FOLDER/PORT.sock',
    second: 'bind unix@FOLDER/PORT.sock mode 600',
    collision: 'shared',
  },
  {
    what: 'two unix sockets',
    first: 'bind FOLDER/PORT.sock',
    second: 'bind FOLDER/NEXT.sock',
    collision: undefined,
  },
];

const connections = 48;

/** Pair with its ports and paths. */
function placed({ first, second }: Pair, port: number, folder: string) {
  const fill = (line: string): string =>
    line
      .replaceAll('PORT', String(port))
      .replaceAll('NEXT', String(port + 1))
      .replaceAll('FOLDER', folder);
  return { first: fill(first), second: fill(second) };
}

/** Which of the two frontends answers connections to one place: `first`, `second`, `both` or, when none listens there, `none`. */
async function answeredBy(target: NetConnectOpts): Promise<string> {
  const said = new Set(await Promise.all(Array.from({ length: connections }, () => statusAt(target))));
  said.delete(undefined);
  if (said.size === 0) return 'none';
  return said.size === 2 ? 'both' : said.has('401') ? 'first' : 'second';
}

function statusAt(target: NetConnectOpts): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(target, () => socket.write('GET / HTTP/1.0\r\n\r\n'));
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('end', () => resolve(/^HTTP\/1\.\d (\d+)/.exec(text)?.[1]));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(undefined);
      else reject(error);
    });
  });
}

async function startWith(haproxy: TestHaproxy, frontends: readonly string[]): Promise<void> {
  const head = [`global\n\tstats socket ${haproxy.socket} level admin`, 'defaults\n\tmode http\n\ttimeout client 9s'];
  await writeFile(haproxy.file, [...head, ...frontends, ''].join('\n'));
  await haproxy.start();
}

describe('two listeners of HAProxy', () => {
  for (const { what, first, second, collision } of pairs) {
    it(`${collision === undefined ? 'do not collide' : `are ${collision}`}: ${what}`, () => {
      const [ours, theirs] = [first, second].map((line) => {
        const filled = line.replaceAll('PORT', '80').replaceAll('NEXT', '81').replaceAll('FOLDER', '/run');
        return boundAddresses(filled);
      });
      const found = ours
        ?.flatMap((a) => theirs?.map((b) => collisionOf(a, b)) ?? [])
        .filter((one) => one !== undefined);
      assert.deepEqual(found, collision === undefined ? [] : [collision]);
      const back = theirs?.flatMap((a) => ours?.map((b) => collisionOf(a, b)) ?? []).filter((one) => one !== undefined);
      assert.deepEqual(back, found, 'the other way round');
    });
  }

  for (const version of haproxyVersions) {
    it(`behave in HAProxy ${version} as synapse expects`, async (t) => {
      const haproxy = await testHaproxy(version);
      t.after(() => haproxy.close());
      // Two neighbouring ports for each pair.
      const ports = await neighbours(pairs.length);
      const lines = pairs.map((pair, index) => placed(pair, ports[index] as number, haproxy.folder));
      await startWith(
        haproxy,
        lines.flatMap(({ first, second }, index) => [
          `frontend a${index}\n\t${first}\n\thttp-request deny deny_status 401`,
          `frontend b${index}\n\t${second}\n\thttp-request deny deny_status 403`,
        ]),
      );
      for (const [index, { what, collision, first }] of pairs.entries()) {
        const port = ports[index] as number;
        const isUnix = first.includes('FOLDER');
        const targets: readonly NetConnectOpts[] = isUnix
          ? [{ path: join(haproxy.folder, `${port}.sock`) }, { path: join(haproxy.folder, `${port + 1}.sock`) }]
          : [port, port + 1].flatMap((each) => ['127.0.0.1', '127.0.0.2', '::1'].map((host) => ({ host, port: each })));
        const answers = await Promise.all(targets.map(answeredBy));
        const seen = `${what}: ${answers.join(' ')}`;
        // Of two unix sockets with one path, the first is out of reach.
        if (isUnix) assert.equal(answers.includes('first'), collision === undefined, seen);
        else assert.equal(answers.includes('both'), collision === 'shared', seen);
        if (collision !== 'shared') assert.ok(answers.includes('first') && answers.includes('second'), seen);
      }
    });
  }

  const unknown: readonly (readonly [what: string, line: string])[] = [
    ['variables of the environment', 'bind "$HOST:80"'],
    ['variables outside of quotes', 'bind 127.0.0.1:$PORT'],
    ['inherited file descriptors', 'bind fd@5'],
    ['QUIC, which is UDP', 'bind quic4@:443 ssl crt /x.pem'],
    ['UDP', 'bind udp@:53'],
    ['reverse connections', 'bind rhttp@backend/server'],
    ['a line without an address', 'bind'],
    ['an address without a port', 'bind 127.0.0.1'],
    ['placeholders of a template', 'bind {{address}}:80'],
    ['comments', '#bind :80'],
    ['another directive', 'binding :80'],
  ];
  for (const [what, line] of unknown) {
    it(`are not compared for ${what}`, () => assert.deepEqual(boundAddresses(line), []));
  }

  const others: readonly (readonly [what: string, a: string, b: string, collision: Collision | undefined])[] = [
    ['one address of another host name is not known', 'bind here.test:80', 'bind 127.0.0.1:80', undefined],
    ['one name twice is one address', 'bind here.test:80', 'bind HERE.test:80', 'shared'],
    ['an address of this host beside all', 'bind 10.0.0.5:80', 'bind *:80', 'carved'],
    ['IPv6 of this host beside all', 'bind [2001:db8::1]:80', 'bind :::80 v6only', 'carved'],
    ['IPv4 beside IPv6 alone', 'bind 10.0.0.5:80', 'bind :::80 v6only', undefined],
    ['two interfaces', 'bind :80 interface eth0', 'bind :80 interface eth1', undefined],
    ['one interface twice', 'bind :80 interface eth0', 'bind :80 interface eth0 ssl crt /x', 'shared'],
    ['a network namespace', 'bind :80 namespace blue', 'bind :80', undefined],
    ['UDP beside TCP', 'bind quic4@:443', 'bind :443', undefined],
    ['one abstract socket twice', 'bind abns@x', 'bind abns@x', 'shared'],
    ['an abstract socket beside a file', 'bind abns@/x', 'bind /x', undefined],
    ['a socket of the runtime API', 'stats socket 127.0.0.1:80 level admin', 'bind localhost:80', 'shared'],
    ['an address in quotes', 'bind "127.0.0.1:80"', "bind '127.0.0.1:80'", 'shared'],
  ];
  for (const [what, a, b, collision] of others) {
    it(`are compared: ${what}`, () => {
      const [first] = boundAddresses(a);
      const [second] = boundAddresses(b);
      assert.equal(first && second && collisionOf(first, second), collision);
    });
  }
});

/** Ports of which the next one is free too. */
async function neighbours(count: number): Promise<readonly number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const ports = new Set(await freePorts(4 * count));
    for (const port of [...ports].sort((a, b) => a - b)) {
      if (!ports.has(port + 1) || found.includes(port - 1) || found.length >= count) continue;
      found.push(port);
    }
  }
  return found;
}
