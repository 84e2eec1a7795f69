import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { must } from '../../deploy/tools/debian/apt.ts';
import { unpackPackages } from '../../deploy/tools/debian/programs.ts';
import { eventually } from '../support/eventually.ts';
import { type DebianHost, startHost, untilApiAnswers } from '../support/machine/debian-host.ts';
import { nodePackages, nodeVersion } from '../support/machine/node-packages.ts';
import { root } from '../support/repository.ts';

const nerveConfig = `
etcd: { hosts: ["http://127.0.0.1:2379"] }
shutdown: { keep: true }
services:
  api: { host: 127.0.0.1, port: 3000, checks: [{ type: http, uri: / }] }
`;

const synapseServices = `
services:
  api: { discovery: { method: etcd }, haproxy: { port: 80, listen: [mode http], server_options: check } }
`;

/** Runs a program of this machine. @throws when it fails */
async function local(...argv: [string, ...string[]]): Promise<void> {
  must(await exec(argv, { timeoutMs: 300_000, env: process.env }), argv.join(' '));
}

/** A package like that of NodeSource: only the file that it installs, and the version. */
async function packNode(folder: string): Promise<void> {
  const tree = join(folder, 'nodejs');
  await mkdir(join(tree, 'DEBIAN'), { recursive: true });
  await mkdir(join(tree, 'usr/bin'), { recursive: true });
  await symlink('/opt/node/bin/node', join(tree, 'usr/bin/node'));
  const control = `Package: nodejs\nVersion: ${await nodeVersion()}-1nodesource1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: Node\n`;
  await writeFile(join(tree, 'DEBIAN/control'), control);
  await local('dpkg-deb', '--root-owner-group', '--build', tree, join(folder, 'nodejs.deb'));
}

/** The same package as its next version, with another line in its default configuration. */
async function packNext(folder: string, program: string): Promise<void> {
  const tree = join(folder, `next-${program}`);
  await local('dpkg-deb', '--raw-extract', join(folder, `smartstack-${program}_${version}_all.deb`), tree);
  for (const [path, from, to] of [
    ['DEBIAN/control', /^Version: .*$/m, `Version: ${version}+next`],
    [`etc/${program}/${program}.yaml`, /^/, '# The next version.\n'],
  ] as const) {
    await writeFile(join(tree, path), (await readFile(join(tree, path), 'utf8')).replace(from, to));
  }
  await local('dpkg-deb', '--root-owner-group', '--build', tree, join(folder, `next-${program}.deb`));
}

const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));

describe('the Debian packages', () => {
  let folder: string;
  let host: DebianHost;
  const page = readFile(join(root, 'deploy/deb/README.md'), 'utf8');
  const apt = 'DEBIAN_FRONTEND=noninteractive apt-get -o APT::Sandbox::User=root --yes';

  /** The commands of the manual's section on a program, without those that open an editor. */
  const commands = async (program: string): Promise<string> => {
    const found = new RegExp(`## ${program}, [\\s\\S]*?\`\`\`sh\\n([^\`]*)\`\`\``).exec(await page)?.[1];
    assert.ok(found !== undefined, 'the manual has no commands');
    return found.replace('apt-get', apt).replace(/^editor .*$/m, `cp /tmp/${program}.yaml /etc/${program}/`);
  };
  const record = (): Promise<string> =>
    host.run('ETCDCTL_API=3 /opt/etcd/usr/bin/etcdctl get --prefix /nerve --print-value-only');

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-deb-'));
    await local('sh', join(root, 'deploy/deb/build'), folder);
    await packNode(folder);
    for (const program of ['nerve', 'synapse']) await packNext(folder, program);
    host = await startHost({
      mounts: {
        '/srv/debs': folder,
        '/opt/etcd': await unpackPackages('sid', ['etcd-server', 'etcd-client'], { at: '/opt/etcd' }),
        '/opt/node': join(await nodePackages(), 'node'),
      },
    });
    await host.run(`${apt} update && ${apt} install /srv/debs/nodejs.deb haproxy`, { timeoutMs: 300_000 });
    await host.run('systemd-run --quiet --unit=etcd --setenv=ETCD_DATA_DIR=/var/lib/etcd /opt/etcd/usr/bin/etcd');
    await host.run('mkdir /srv/api; echo the api >/srv/api/index.html');
    await host.run('systemd-run --quiet --unit=api python3 -m http.server --directory /srv/api 3000');
  });
  after(async () => {
    await host?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('are not refused by lintian', async () => {
    await host.run(`${apt} install --no-install-recommends lintian`, { timeoutMs: 600_000 });
    const lintian = (files: string): Promise<string> =>
      host.run(`lintian --fail-on none --allow-root --tag-display-limit 0 ${files}`, {
        timeoutMs: 300_000,
      });
    // It does find something.
    assert.match(await lintian('/srv/debs/nodejs.deb'), /no-copyright-file/);
    const said = await lintian(`/srv/debs/smartstack-*_${version}_all.deb`);
    assert.equal(said, '');
  });

  it('start nothing when they are installed, and leave HAProxy as it is', async () => {
    const before = await host.run('sha256sum /etc/haproxy/haproxy.cfg; stat -c "%U %a" /etc/haproxy');
    const pid = await host.property('haproxy', 'MainPID');
    await host.run(
      `cd /srv/debs; ${apt} install ./smartstack-nerve_${version}_all.deb ./smartstack-synapse_${version}_all.deb`,
      {
        timeoutMs: 300_000,
      },
    );
    assert.equal(await host.run('sha256sum /etc/haproxy/haproxy.cfg; stat -c "%U %a" /etc/haproxy'), before);
    assert.equal(await host.property('haproxy', 'MainPID'), pid);
    for (const unit of ['nerve', 'synapse']) {
      assert.equal(await host.property(unit, 'ActiveState'), 'inactive');
      assert.equal((await host.run(`${unit} --version`)).trim(), `${unit} ${version}`);
      assert.match(await host.run(`id ${unit}`), new RegExp(`\\(${unit}\\)`));
    }
    assert.deepEqual(
      (await host.run('stat -c "%n %U:%G %a" /etc/nerve /etc/nerve/* /etc/default/nerve')).trim().split('\n'),
      ['/etc/nerve root:nerve 750', '/etc/nerve/nerve.yaml root:nerve 640', '/etc/default/nerve root:root 600'],
    );
    assert.equal(await host.run('systemd-analyze verify --man=no nerve.service synapse.service 2>&1'), '');
    assert.match(
      await host.run('man --version >/dev/null 2>&1 && man -w nerve || ls /usr/share/man/man1/nerve.1.gz'),
      /nerve\.1/,
    );
  });

  it('reach a service after the commands of the manual', async () => {
    await host.run('cat >/tmp/nerve.yaml', { input: nerveConfig });
    const config = await host.run('sed "/^services: {}/,/^haproxy:/{/^haproxy:/!d}" /etc/synapse/synapse.yaml');
    await host.run('cat >/tmp/synapse.yaml', {
      input: `${config.replace('127.0.0.1\n  global', '0.0.0.0\n  global')}${synapseServices}`,
    });
    for (const program of ['nerve', 'synapse']) {
      await host.run(
        `cd /srv/debs\n${(await commands(program)).replace(/\.\/smartstack-(\w+)_\*_all\.deb/, `./smartstack-$1_${version}_all.deb`)}`,
        {
          timeoutMs: 300_000,
        },
      );
    }
    await untilApiAnswers(host);
  });

  it('are upgraded while everything runs, and HAProxy, records and changed files stay', async () => {
    await eventually(async () => assert.match(await host.property('synapse', 'StatusText'), /^ready/));
    const servers = "echo '@1 show servers state' | socat - /run/haproxy/master.sock | cut -d' ' -f 1-6";
    await host.run(`${apt} install --no-install-recommends socat`, { timeoutMs: 300_000 });
    const before = {
      pids: [await host.property('nerve', 'MainPID'), await host.property('synapse', 'MainPID')],
      haproxy: await host.property('haproxy', 'MainPID'),
      record: await record(),
      servers: await host.run(servers),
    };
    assert.match(before.servers, /api/);
    await host.run(
      `cd /srv/debs; ${apt} -o Dpkg::Options::=--force-confold install ./next-nerve.deb ./next-synapse.deb`,
      { timeoutMs: 300_000 },
    );
    assert.match(await host.run('dpkg-query --show smartstack-nerve smartstack-synapse'), /\+next\n.*\+next/);
    await eventually(async () => assert.match(await host.property('synapse', 'StatusText'), /^ready/));
    await eventually(async () => assert.match(await host.property('nerve', 'StatusText'), /^ready/));
    assert.notEqual(await host.property('nerve', 'MainPID'), before.pids[0]);
    assert.notEqual(await host.property('synapse', 'MainPID'), before.pids[1]);
    assert.equal(await host.property('haproxy', 'MainPID'), before.haproxy);
    assert.equal(await host.run(servers), before.servers);
    assert.equal(await record(), before.record);
    assert.equal(await host.run('cat /etc/nerve/nerve.yaml'), nerveConfig);
    await untilApiAnswers(host);
  });

  it('do not start a daemon that was stopped when they are upgraded', async () => {
    await host.run('systemctl stop nerve');
    await host.run(`dpkg --force-confold --install /srv/debs/next-nerve.deb`, { timeoutMs: 300_000 });
    assert.equal(await host.property('nerve', 'ActiveState'), 'inactive');
    await host.run('systemctl start nerve');
  });

  it('stop the daemon and keep its files when they are removed', async () => {
    await host.run(`${apt} remove smartstack-nerve smartstack-synapse`, { timeoutMs: 300_000 });
    assert.equal(await host.run('ls /usr/bin/nerve /usr/bin/synapse /usr/lib/smartstack-* 2>/dev/null || true'), '');
    assert.equal(await host.run('pgrep -u nerve,synapse || true'), '');
    assert.equal(await host.run('cat /etc/nerve/nerve.yaml'), nerveConfig);
    // HAProxy goes on with what synapse wrote last.
    await untilApiAnswers(host);
  });

  it('leave nothing but their users when they are purged', async () => {
    await host.run(`${apt} purge smartstack-nerve smartstack-synapse`, { timeoutMs: 300_000 });
    const left =
      'find / -xdev \\( -name "*nerve*" -o -name "*smartstack*" -o -name "synapse*" \\) -not -path "/proc/*" -not -path "/srv/*" -not -path "/tmp/*"';
    const found = (await host.run(left)).trim().split('\n').sort();
    // What the commands of the manual put there.
    assert.deepEqual(found, [
      '/etc/systemd/system/haproxy.service.d/synapse.conf',
      '/etc/tmpfiles.d/smartstack-haproxy.conf',
    ]);
    await untilApiAnswers(host);
  });
});
