import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { must } from '../../deploy/tools/debian/apt.ts';
import { unpackPackages } from '../../deploy/tools/debian/programs.ts';
import { eventually } from '../support/eventually.ts';
import { type DebianHost, startHost, untilApiAnswers } from '../support/machine/debian-host.ts';
import { nodePackages } from '../support/machine/node-packages.ts';
import { root } from '../support/repository.ts';

/** Worse than this is a mistake; `systemd-analyze security` calls everything below 2 'OK' and a plain service 9.6. */
const worst: Readonly<Record<string, number>> = { nerve: 1.6, synapse: 1.6, haproxy: 2.0 };

const nerveConfig = `
etcd: { hosts: ["http://127.0.0.1:2379"] }
services:
  api:
    host: 127.0.0.1
    port: 3000
    checks: [{ type: http, uri: /, rise: 1, fall: 1 }]
`;

const synapseConfig = `
etcd: { hosts: ["http://127.0.0.1:2379"] }
state_file_path: /var/lib/synapse/catalog.json
services:
  api:
    discovery: { method: etcd }
    haproxy: { port: 80, listen: [mode http], server_options: check }
haproxy:
  bind_address: 0.0.0.0
  global: [maxconn 4096]
  defaults: [mode http, timeout connect 2s, timeout client 1m, timeout server 1m]
  config_file_path: /etc/haproxy/haproxy.cfg
  socket_file_path: /run/haproxy/admin.sock
  master_socket_path: /run/haproxy/master.sock
`;

/** Makes the event loop of a Node.js process hang for good. */
const hang = `
const [target] = await (await fetch('http://127.0.0.1:9229/json')).json();
const socket = new WebSocket(target.webSocketDebuggerUrl);
socket.onopen = () => {
  socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression: 'for (;;);' } }));
  setTimeout(() => process.exit(), 500);
};`;

describe('a host with systemd', () => {
  let folder: string;
  let page: string;
  let host: DebianHost;

  before(async () => {
    page = await readFile(join(root, 'deploy/systemd/README.md'), 'utf8');
    folder = await mkdtemp(join(tmpdir(), 'smartstack-install-'));
    const made = await exec(['sh', join(root, 'deploy/archive'), folder], { timeoutMs: 300_000, env: process.env });
    must(made, 'deploy/archive');
    await writeFile(join(folder, 'nerve.yaml'), nerveConfig);
    await writeFile(join(folder, 'synapse.yaml'), synapseConfig);
    host = await startHost({
      mounts: {
        '/srv/install': folder,
        '/opt/etcd': await unpackPackages('sid', ['etcd-server', 'etcd-client'], { at: '/opt/etcd' }),
        '/usr/local/bin/node': join(await nodePackages(), 'node/bin/node'),
      },
    });
    const commands = /```sh\n([^`]*?)```/.exec(page)?.[1];
    assert.ok(commands !== undefined, 'the page has no commands');
    await host.run(`cd /srv/install\n${commands}`, { timeoutMs: 300_000 }).catch(async (error) => {
      throw new Error(`${error.message}\n${await host.run('journalctl --lines=40 --output=cat')}`, { cause: error });
    });
  });
  after(async () => {
    await host?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('has valid units, with the ratings of their sandbox that the page names', async () => {
    assert.equal(
      await host.run('systemd-analyze verify --man=no nerve.service synapse.service haproxy.service 2>&1'),
      '',
    );
    for (const [unit, limit] of Object.entries(worst)) {
      const said = await host.run(
        `systemd-analyze security --offline=true $(systemctl show -P FragmentPath ${unit}) | tail -n 1`,
      );
      const level = /exposure level for \S+: (\d+\.\d+)/.exec(said)?.[1];
      assert.ok(Number(level) <= limit, said);
      assert.ok(page.includes(`${unit} ${level}`), `the page should say: ${unit} ${level}`);
    }
  });

  it('has nerve and synapse ready without etcd, and they show what is missing', async () => {
    assert.equal(await host.property('nerve', 'ActiveState'), 'active');
    assert.match(await host.property('nerve', 'StatusText'), /etcd|lease/);
    assert.equal(await host.property('synapse', 'ActiveState'), 'active');
    assert.match(await host.property('synapse', 'StatusText'), /api/);
  });

  it('reaches a service through HAProxy, and runs no daemon as root', async () => {
    await host.run('systemd-run --quiet --unit=etcd --setenv=ETCD_DATA_DIR=/var/lib/etcd /opt/etcd/usr/bin/etcd');
    await host.run('mkdir /srv/api; echo the api >/srv/api/index.html');
    await host.run('systemd-run --quiet --unit=api python3 -m http.server --directory /srv/api 3000');
    await untilApiAnswers(host);
    for (const unit of ['haproxy', 'nerve', 'synapse']) {
      const processes = `$(paste -sd, /sys/fs/cgroup/system.slice/${unit}.service/cgroup.procs)`;
      assert.equal((await host.run(`ps -o user= -p ${processes} | sort -u`)).trim(), unit);
    }
    const modes = await host.run('stat -c "%n %U:%G %a" /etc/haproxy /etc/haproxy/haproxy.cfg /run/haproxy/*.sock');
    assert.deepEqual(modes.trim().split('\n'), [
      '/etc/haproxy synapse:haproxy 2755',
      '/etc/haproxy/haproxy.cfg synapse:haproxy 640',
      '/run/haproxy/admin.sock haproxy:haproxy 660',
      '/run/haproxy/master.sock haproxy:haproxy 660',
    ]);
    assert.equal(await host.run('synapse status -c /etc/synapse/synapse.yaml | grep -c "^api "'), '1\n');
    assert.match(await host.run('nerve status -c /etc/nerve/nerve.yaml'), /: ready/);
  });

  it('keeps the daemons in their sandbox', async () => {
    for (const unit of ['nerve', 'synapse', 'haproxy']) {
      const pid = await host.property(unit, 'MainPID');
      const status = await host.run(`cat /proc/${pid}/status`);
      assert.match(status, /^NoNewPrivs:\t1$/m);
      assert.match(status, unit === 'haproxy' ? /^CapBnd:\t0{13}400$/m : /^CapBnd:\t0{16}$/m);
      const enter = `nsenter --target=${pid} --mount --`;
      // As root, which may write everywhere outside the sandbox.
      await assert.rejects(host.run(`${enter} touch /usr/planted`), /Read-only file system/);
      await assert.rejects(host.run(`${enter} touch /etc/planted`), /Read-only file system/);
      await assert.rejects(host.run(`${enter} ls /dev/mem`), /No such file/);
    }
    assert.equal(await host.run('grep ^Seccomp: /proc/$(systemctl show -P MainPID synapse)/status'), 'Seccomp:\t2\n');
  });

  it('reloads a new configuration without another process', async () => {
    const pids = [await host.property('nerve', 'MainPID'), await host.property('synapse', 'MainPID')];
    await host.run("sed -i 's/port: 3000/port: 3000\\n    weight: 7/' /etc/nerve/nerve.yaml");
    await host.run("sed -i 's/server_options: check/server_options: check inter 700/' /etc/synapse/synapse.yaml");
    await host.run('systemctl reload nerve synapse');
    await eventually(async () => {
      assert.match(await host.run('cat /etc/haproxy/haproxy.cfg'), /check inter 700.*weight 7/);
    });
    assert.deepEqual([await host.property('nerve', 'MainPID'), await host.property('synapse', 'MainPID')], pids);
    assert.equal(await host.property('synapse', 'ActiveState'), 'active');
    await untilApiAnswers(host);
  });

  for (const unit of ['nerve', 'synapse']) {
    it(`kills a ${unit} that hangs, and starts it again`, async () => {
      await host.run(`mkdir -p /run/systemd/system/${unit}.service.d`);
      await host.run(`printf '[Service]\\nWatchdogSec=2\\n' >/run/systemd/system/${unit}.service.d/watchdog.conf`);
      await host.run(`systemctl daemon-reload; systemctl restart ${unit}`);
      const pid = await host.property(unit, 'MainPID');
      await host.run(`kill -USR1 ${pid}`);
      await eventually(() => host.run('node --input-type=module', { input: hang }).then(() => {}));
      await eventually(async () => {
        assert.match(await host.run(`journalctl --unit=${unit} --output=cat`), /Watchdog timeout/);
        assert.equal(await host.property(unit, 'ActiveState'), 'active');
      });
      assert.notEqual(await host.property(unit, 'MainPID'), pid);
      await untilApiAnswers(host);
    });
  }

  it('has the same services after a restart of HAProxy', async () => {
    await host.run('systemctl restart haproxy');
    await untilApiAnswers(host);
    await eventually(async () => assert.match(await host.property('synapse', 'StatusText'), /^ready/));
  });

  it('withdraws its instances when nerve is stopped', async () => {
    await host.run('systemctl stop nerve');
    const etcdctl = '/opt/etcd/usr/bin/etcdctl --command-timeout=30s get --prefix /nerve --print-value-only';
    const records = (await host.run(`ETCDCTL_API=3 ${etcdctl}`)).trim().split('\n');
    // Tombstones stay for a while.
    assert.deepEqual(
      records.map((record) => JSON.parse(record).state),
      ['down'],
    );
  });

  it('has no architecture-dependent files in the archive', async () => {
    const native = `for (@ARGV) { open F, $_; read F, $head, 4; print "$_ " if $head eq "\\x7fELF" }`;
    assert.equal(await host.run(`find /opt/smartstack -type f -exec perl -e '${native}' {} +`), '');
    assert.notEqual(await host.run(`perl -e '${native}' /usr/bin/env`), '', 'it does find something');
  });

  it('installs every file of deploy/systemd', async () => {
    const files = await readdir(join(root, 'deploy/systemd'), { recursive: true, withFileTypes: true });
    for (const { name, parentPath } of files.filter((file) => file.isFile() && file.name !== 'README.md')) {
      const path = join(parentPath, name).slice(join(root, 'deploy/systemd/').length);
      assert.ok(page.includes(path), `${path} is not in the page`);
    }
  });
});
