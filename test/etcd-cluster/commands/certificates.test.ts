import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, chown, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createSecureContext } from 'node:tls';
import { sleep } from '../../../common/async/sleep.ts';
import { clusterCommand } from '../../support/etcd/cluster-command.ts';

const members = ['etcd1=10.0.0.1,etcd1.example,fd00:0::1', 'etcd2=etcd2.example'];

describe('etcd-cluster/certificates', () => {
  let folder: string;
  const below = (...path: readonly string[]): string => join(folder, ...path);
  const certificate = async (...path: readonly string[]): Promise<X509Certificate> =>
    new X509Certificate(await readFile(below('out', ...path)));

  const run = (...args: readonly string[]) =>
    clusterCommand('certificates', ['--ca', below('ca'), '--out', below('out'), ...args]);
  /** Runs the command. @returns what it prints about each certificate */
  const make = async (...args: readonly string[]): Promise<Readonly<Record<string, string>>> => {
    const { code, stdout, stderr } = await run(...args);
    assert.deepEqual([code, stderr], [0, '']);
    return Object.fromEntries(
      [...stdout.matchAll(/^(\S+) +(.+?) {2,}valid until/gm)].map(([, file, what]) => [file, what]),
    );
  };
  const all = (what: string) =>
    Object.fromEntries(
      ['etcd1/server', 'etcd1/peer', 'etcd2/server', 'etcd2/peer', 'nerve/client', 'root/client'].map((name) => [
        `${name}.pem`,
        what,
      ]),
    );
  const clients = ['--client', 'nerve', '--client', 'root'];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'etcd-certificates-'));
    assert.deepEqual(await make(...members, ...clients), all('made (new)'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('makes certificates of one authority, with the names by which each member is reached', async () => {
    const authority = new X509Certificate(await readFile(below('ca/ca.pem')));
    const names: Record<string, unknown> = {};
    for (const file of Object.keys(all(''))) {
      const has = await certificate(file);
      assert.ok(has.checkIssued(authority) && has.verify(authority.publicKey) && !has.ca, file);
      assert.ok(has.checkPrivateKey(createPrivateKey(await readFile(below('out', file.replace('.pem', '-key.pem'))))));
      names[file] = [has.subject.replace('\n', ' '), has.subjectAltName ?? null, has.keyUsage?.length];
    }
    const own = 'DNS:localhost, IP Address:127.0.0.1';
    const first = 'IP Address:10.0.0.1, DNS:etcd1.example, IP Address:FD00:0:0:0:0:0:0:1';
    assert.deepEqual(names, {
      'etcd1/server.pem': ['O=etcd', `${first}, ${own}`, 2],
      'etcd1/peer.pem': ['O=etcd CN=etcd-peer', first, 2],
      'etcd2/server.pem': ['O=etcd', `DNS:etcd2.example, ${own}`, 2],
      'etcd2/peer.pem': ['O=etcd CN=etcd-peer', 'DNS:etcd2.example', 2],
      'nerve/client.pem': ['O=etcd CN=nerve', null, 1],
      'root/client.pem': ['O=etcd CN=root', null, 1],
    });
  });

  it('starts from the beginning after a run that could not make the authority', async () => {
    const args = ['--ca', below('late-ca'), '--out', below('late'), 'etcd1=10.0.0.1'];
    const failed = await clusterCommand('certificates', args, { PATH: below('nothing') });
    assert.deepEqual([failed.code, failed.stderr], [1, 'cannot run openssl: spawn openssl ENOENT\n']);
    const { code, stderr } = await clusterCommand('certificates', args);
    assert.deepEqual([code, stderr], [0, '']);
  });

  it('makes keys that only their owner can read, and keeps the key of the authority in its folder', async () => {
    for (const holder of ['etcd1', 'etcd2', 'nerve', 'root']) {
      const files = await readdir(below('out', holder));
      assert.ok(!files.includes('ca-key.pem'));
      for (const file of files) {
        const { mode } = await stat(below('out', holder, file));
        assert.equal(mode & 0o777, file.endsWith('-key.pem') ? 0o600 : 0o644, file);
      }
    }
    assert.equal((await stat(below('ca/ca-key.pem'))).mode & 0o777, 0o600);
    assert.equal((await stat(below('ca'))).mode & 0o777, 0o700);
  });

  it('takes any number of days, of which a third is left when it renews', async () => {
    const other = ['--ca', below('days-ca'), '--out', below('days')];
    for (const days of ['1', '31', '36500']) {
      const { code, stderr } = await clusterCommand('certificates', [...other, '--days', days, ...members]);
      assert.equal(code, 0, stderr);
    }
  });

  it('changes nothing when it runs again', async () => {
    const before = await stat(below('out/nerve/client.pem'));
    assert.deepEqual(await make(...members, ...clients), all('kept'));
    assert.equal((await stat(below('out/nerve/client.pem'))).mtimeMs, before.mtimeMs);
  });

  it('renews a certificate that expires soon with the same key, so that no reader sees files that do not match', async () => {
    const key = await readFile(below('out/nerve/client-key.pem'), 'utf8');
    const { serialNumber } = await certificate('nerve/client.pem');
    let isRenewed = false;
    const readUntilRenewed = async (): Promise<void> => {
      for (let reads = 0; !isRenewed || reads < 10; reads += 1) {
        const [cert, own] = [
          await readFile(below('out/nerve/client.pem')),
          await readFile(below('out/nerve/client-key.pem')),
        ];
        createSecureContext({ cert, key: own });
        await sleep(1);
      }
    };
    const reading = readUntilRenewed();
    assert.deepEqual(await make(...members, ...clients, '--renew-within', '31'), all('made (expires soon)'));
    isRenewed = true;
    await reading;
    assert.equal(await readFile(below('out/nerve/client-key.pem'), 'utf8'), key);
    assert.notEqual((await certificate('nerve/client.pem')).serialNumber, serialNumber);
  });

  it('makes new keys with --new-keys, owned by the owner of the folder', async () => {
    const root = process.getuid?.() === 0;
    if (root) await chown(below('out/nerve'), 10001, 10001);
    const key = await readFile(below('out/nerve/client-key.pem'), 'utf8');
    assert.deepEqual(await make(...members, ...clients, '--new-keys'), all('made (new key)'));
    assert.notEqual(await readFile(below('out/nerve/client-key.pem'), 'utf8'), key);
    if (root) assert.equal((await stat(below('out/nerve/client-key.pem'))).uid, 10001);
    assert.ok(
      (await certificate('nerve/client.pem')).checkPrivateKey(
        createPrivateKey(await readFile(below('out/nerve/client-key.pem'))),
      ),
    );
  });

  it('renews the certificates of a member when its addresses change', async () => {
    const made = await make(members[0] as string, 'etcd2=10.0.0.2', ...clients);
    const changed = { 'etcd2/server.pem': 'made (has other names)', 'etcd2/peer.pem': 'made (has other names)' };
    assert.deepEqual(made, { ...all('kept'), ...changed });
  });

  it('renews all certificates under another authority, and makes all trust the former one as well', async () => {
    const former = below('ca/ca.pem');
    const args = ['--ca', below('ca2'), '--out', below('out'), '--also-trust', former, ...members, ...clients];
    const { code, stdout } = await clusterCommand('certificates', args);
    assert.equal(code, 0);
    assert.equal(stdout.match(/made \(from another authority\)/g)?.length, 6);
    const both = (await readFile(below('ca2/ca.pem'), 'utf8')) + (await readFile(former, 'utf8'));
    assert.equal(await readFile(below('out/etcd1/ca.pem'), 'utf8'), both);
  });

  it('refuses an authority whose key other users may read', async () => {
    await chmod(below('ca/ca-key.pem'), 0o640);
    const { code, stderr } = await run(...members);
    assert.equal(code, 1);
    assert.match(stderr, /ca-key\.pem: other users may read it; run chmod 600/);
    await chmod(below('ca/ca-key.pem'), 0o600);
  });

  const wrong: readonly (readonly [args: string, message: RegExp])[] = [
    ['etcd1', /etcd1: '' is not a valid name/],
    ['etcd1=', /etcd1=: '' is not an address or a host name/],
    ['etcd1=10.0.0.256', /'10\.0\.0\.256' is not an address/],
    ['../x=10.0.0.1', /'\.\.\/x' is not a valid name/],
    ['a=10.0.0.1 a=10.0.0.2', /a is named twice/],
    ['--client etcd-peer', /no client may have this name/],
    ['--days 0', /--days 0: must be a whole number, from 1 to 36500/],
  ];
  for (const [args, message] of wrong) {
    it(`refuses '${args}'`, async () => {
      const { code, stderr } = await run(...args.split(' '));
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    });
  }
});
