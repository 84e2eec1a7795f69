import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { shell } from '../../../common/daemon/exec.ts';
import { writePrograms } from '../../../deploy/demo/shell.ts';
import { findProgram } from '../../../deploy/tools/debian/programs.ts';
import type { LocalCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { programPath, startDaemon, type TestDaemon } from '../daemons/daemon.ts';
import { testCluster } from '../etcd/etcd.ts';
import { eventually } from '../eventually.ts';
import { haproxySection, type NamedServer, namedServer, type TestHaproxy, testHaproxy } from '../haproxy/haproxy.ts';

/** A host as the pages speak of it, where their commands can be run as they stand there. */
export interface DocStack {
  /** Runs shell commands. @throws with all they said, when they fail */
  run(commands: string): Promise<string>;
  close(): Promise<void>;
}

/** etcd, nerve beside an `api`, HAProxy and synapse; what the pages call them by is replaced by where they are. */
export async function startDocStack(): Promise<DocStack> {
  const parts: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const part of parts.reverse()) await part();
  };
  try {
    const cluster: LocalCluster = await testCluster('3.5', { size: 1 });
    parts.push(() => cluster.stopAll());
    const haproxy: TestHaproxy = await testHaproxy();
    parts.push(() => haproxy.close());
    const server: NamedServer = await namedServer('api');
    parts.push(() => server.close());
    const etcd = { hosts: cluster.urls };
    const nerveFile = join(haproxy.folder, 'nerve.yaml');
    const synapseFile = join(haproxy.folder, 'synapse.yaml');
    const port = await freePort();
    // JSON is YAML too.
    await writeFile(
      nerveFile,
      JSON.stringify({
        etcd,
        instance_id: 'one',
        admin: { listen: `127.0.0.1:${await freePort()}`, control_socket: join(haproxy.folder, 'nerve.sock') },
        state_file_path: false,
        services: { api: { host: '127.0.0.1', port: server.port, checks: [{ type: 'http', uri: '/', timeout: 5 }] } },
      }),
    );
    await writeFile(
      synapseFile,
      JSON.stringify({
        etcd,
        admin: { listen: `127.0.0.1:${await freePort()}` },
        services: { api: { discovery: { method: 'etcd' }, haproxy: { port, listen: ['mode http'] } } },
        haproxy: haproxySection(haproxy, { restart_interval: 0 }),
      }),
    );
    await haproxy.startEmpty();
    const nerve: TestDaemon = await startDaemon('nerve', nerveFile);
    parts.push(() => nerve.end('SIGKILL'));
    const synapse: TestDaemon = await startDaemon('synapse', synapseFile);
    parts.push(() => synapse.end('SIGKILL'));
    await eventually(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      if ((await answer.text()) !== 'api') throw new Error('nobody serves yet');
    });

    const bin = join(haproxy.folder, 'bin');
    await writePrograms(bin, {
      nerve: [process.execPath, programPath('nerve')],
      synapse: [process.execPath, programPath('synapse')],
      haproxy: [haproxy.program],
      etcdctl: [await findProgram('etcdctl', { version: '3.5' })],
    });
    const there: readonly (readonly [string, string])[] = [
      ['/etc/nerve/nerve.yaml', nerveFile],
      ['/etc/synapse/synapse.yaml', synapseFile],
      ['/etc/haproxy/haproxy.cfg', haproxy.file],
      [',http://10.0.0.2:2379,http://10.0.0.3:2379', ''],
      ['http://10.0.0.1:2379', cluster.urls[0] as string],
      ['localhost:50003', `localhost:${port}`],
      ['127.0.0.1:3210', nerve.admin],
      ['127.0.0.1:3211', synapse.admin],
    ];
    const env = {
      PATH: [bin, process.env.PATH].join(delimiter),
      NERVE_CONFIG: nerveFile,
      SYNAPSE_CONFIG: synapseFile,
    };
    return {
      async run(commands) {
        const text = there.reduce((all, [page, here]) => all.replaceAll(page, here), commands);
        const { code, stdout, stderr } = await shell(`set -eu\n${text}`, {
          timeout: 120_000,
          cwd: haproxy.folder,
          env,
        });
        if (code !== 0) throw new Error(`${text}\nended with ${code}:\n${stdout}${stderr}`);
        return stdout;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
