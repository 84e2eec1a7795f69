import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { must } from '../../deploy/tools/debian/apt.ts';
import { unpackPackages } from '../../deploy/tools/debian/programs.ts';
import { eventually } from '../support/eventually.ts';
import { type DebianHost, startHost } from '../support/machine/debian-host.ts';
import { nodePackages, nodeVersion } from '../support/machine/node-packages.ts';
import { constantLoad } from '../support/process/load.ts';
import { root } from '../support/repository.ts';

/** A service that takes its time to start, to answer and to end; the version `broken` never gets well. */
const api = `
import { createServer } from 'node:http';
const { VERSION, SERVICE_API } = process.env;
const port = process.argv[2];
const server = createServer((request, response) => {
  if (request.url === '/health') return response.writeHead(VERSION === 'broken' ? 500 : 200).end();
  setTimeout(() => response.end(\`\${VERSION} \${port} \${SERVICE_API}\`), 20);
});
server.keepAliveTimeout = 600_000;
setTimeout(() => server.listen(port), 1_500);
process.on('SIGTERM', () => process.exit());
`;

const unit = `
[Service]
EnvironmentFile=/etc/smartstack/services.env
EnvironmentFile=/etc/default/api-%i
ExecStart=/usr/local/bin/node /srv/test/api.mjs %i
[Install]
WantedBy=multi-user.target
`;

describe('a host that Ansible sets up', () => {
  let folder: string;
  let host: DebianHost;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-ansible-'));
    const run = async (...argv: readonly [string, ...string[]]): Promise<string> =>
      must(await exec(argv, { timeoutMs: 300_000, env: process.env }), argv.join(' ')).stdout;
    await run('sh', join(root, 'deploy/archive'), folder);
    // As it is laid out at nodejs.org.
    const name = `node-v${await nodeVersion()}-linux-${process.arch}`;
    const tree = ['--transform', `s,^node,${name},`, 'node/bin'];
    await run('tar', '-czf', join(folder, `${name}.tar.gz`), '-C', await nodePackages(), ...tree);
    const sum = createHash('sha256')
      .update(await readFile(join(folder, `${name}.tar.gz`)))
      .digest('hex');

    const page = await readFile(join(root, 'deploy/ansible/README.md'), 'utf8');
    const [groupVars, replace] = [...page.matchAll(/```yaml\n([^`]*)```/g)].map((match) => match[1] ?? '');
    assert.ok(groupVars !== undefined && replace !== undefined);
    await mkdir(join(folder, 'group_vars'));
    await writeFile(join(folder, 'group_vars/all.yml'), groupVars);
    await writeFile(join(folder, 'replace-api.yml'), `---\n${replace}`);
    await writeFile(join(folder, 'api.mjs'), api);
    host = await startHost({
      mounts: {
        '/srv/test': folder,
        '/srv/deploy': join(root, 'deploy'),
        '/srv/etcd-cluster': join(root, 'etcd-cluster'),
        '/opt/etcd': await unpackPackages('sid', ['etcd-server', 'etcd-client'], { at: '/opt/etcd' }),
      },
    });
    const hostVars = {
      ansible_connection: 'local',
      ansible_become: false,
      smartstack_address: host.address,
      smartstack_archive: '/srv/test/smartstack-0.1.0.tgz',
      smartstack_node_url: `http://127.0.0.1:8000/${name}.tar.gz`,
      smartstack_node_checksum: sum,
      smartstack_etcd: { hosts: ['http://127.0.0.1:2379'] },
      smartstack_deploy_patience: 10,
    };
    await writeFile(join(folder, 'hosts.yml'), JSON.stringify({ api: { hosts: { here: hostVars } } }));
    await host.run('systemd-run --quiet --unit=etcd --setenv=ETCD_DATA_DIR=/var/lib/etcd /opt/etcd/usr/bin/etcd');
    await host.run('systemd-run --quiet --unit=download python3 -m http.server --directory /srv/test 8000');
    await host.run('cat >/etc/systemd/system/api@.service; systemctl daemon-reload', { input: unit });
  });
  after(async () => {
    await host?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** @returns what it printed, its sum at the end */
  const playbook = (name: string, variables: object = {}): Promise<string> =>
    host.run(`cd /srv/deploy/ansible; ansible-playbook -i /srv/test/hosts.yml ${name} -e "$(cat)" 2>&1`, {
      input: JSON.stringify(variables),
      timeoutMs: 300_000,
    });
  const deploy = (version: string): Promise<string> => playbook('deploy.yml', { service: 'api', version });
  const ask = async (port: number): Promise<string> => {
    const answer = await fetch(`http://${host.address}:${port}/`, { signal: AbortSignal.timeout(10_000) });
    assert.equal(answer.status, 200);
    return answer.text();
  };

  it('has a role, playbooks and scripts that pass the linters', async () => {
    await host.run("grep -rlZE --exclude='*.md' '^#!/bin/(ba)?sh' /srv/deploy /srv/etcd-cluster | xargs -0 shellcheck");
    // In a copy, because it writes beside what it reads.
    const lint = 'ansible-lint --offline --strict --profile production site.yml deploy.yml roles/smartstack 2>&1';
    const said = await host.run(`cp -r /srv/deploy/ansible /tmp/lint; cd /tmp/lint; yamllint --strict .; ${lint}`);
    assert.ok(Number(/ on (\d+) files/.exec(said)?.[1]) >= 15, said);
  });

  it('runs all programs', async () => {
    await playbook('site.yml');
    assert.equal((await host.run('systemctl is-active nerve synapse haproxy')).trim(), 'active\nactive\nactive');
  });

  it('starts both instances with the first deploy, tells them the addresses of services, and sends requests to the first one', async () => {
    await deploy('1');
    const environment = await host.run('cat /etc/smartstack/services.env');
    const url = /^SERVICE_API=(http:\/\/[\d.]+:50003)$/m.exec(environment)?.[1];
    for (let i = 0; i < 10; i++) assert.equal(await ask(50003), `1 50001 ${url}`);
    assert.equal((await host.run(`curl -s ${url}`)).slice(0, 7), '1 50001');
  });

  it('fails no request during a deploy, or while nerve is replaced', async (t) => {
    const load = constantLoad(t, `http://${host.address}:50003/`);
    await deploy('2');
    // One that fails half-way has written the variables, and has not restarted anything: that is for the next one.
    const variables = { smartstack_nerve_environment: { LOG_LEVEL: 'debug' } };
    await assert.rejects(playbook('site.yml', { ...variables, smartstack_nerve: { services: 'none' } }));
    const changed = await playbook('site.yml', variables);
    const { answers, failures, requests } = await load.end();
    assert.deepEqual(failures, []);
    assert.ok(requests > 1000, `only ${requests} requests`);
    const seen = new Set([...answers].map((answer) => answer.split(' http')[0]));
    assert.deepEqual([...seen], ['1 50001', '1 50002', '2 50001']);
    assert.match(await ask(50002), /^2 50002 /);
    // That what runs is older, and the new process.
    assert.match(changed, /changed=2 .*failed=0/);
    const environment = await host.run(
      "tr '\\0' '\\n' </proc/$(systemctl show --property=MainPID --value nerve)/environ",
    );
    assert.match(environment, /^LOG_LEVEL=debug$/m);
    assert.match(await playbook('site.yml', variables), /changed=0 .*failed=0/);
  });

  it('ends the deploy of a version that does not become healthy, and the old version goes on serving', async (t) => {
    const load = constantLoad(t, `http://${host.address}:50003/`);
    await assert.rejects(deploy('broken'));
    await eventually(async () => assert.match(await ask(50003), /^2 50002 /));
    assert.deepEqual((await load.end()).failures, []);
    await deploy('3');
    await eventually(async () => assert.match(await ask(50003), /^3 50001 /));
  });
});
