import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { shell } from '../../../common/daemon/exec.ts';
import { writePrograms } from '../../../deploy/demo/shell.ts';
import { findProgram } from '../../../deploy/tools/debian/programs.ts';
import type { LocalCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { programPath, startDaemon, type TestDaemon } from '../daemons/daemon.ts';
import { testCluster } from '../etcd/etcd.ts';
import { eventually, patienceMs } from '../eventually.ts';
import { haproxySection, type NamedServer, namedServer, type TestHaproxy, testHaproxy } from '../haproxy/haproxy.ts';

/** A host as in the pages, on which their commands can be run unchanged. */
export interface DocStack {
  /** Runs shell commands. @throws with their output, when they fail */
  run(commands: string): Promise<string>;
  close(): Promise<void>;
}

interface Files {
  readonly nerve: string;
  readonly synapse: string;
}

/** Starts etcd, nerve beside an `api`, HAProxy and synapse; in commands, their own addresses and paths replace the pages'. */
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
    const port = await freePort();
    const files = await writeConfigurations(haproxy, { etcd: { hosts: cluster.urls }, apiPort: server.port, port });
    await haproxy.startEmpty();
    const nerve: TestDaemon = await startDaemon('nerve', files.nerve);
    parts.push(() => nerve.end('SIGKILL'));
    const synapse: TestDaemon = await startDaemon('synapse', files.synapse);
    parts.push(() => synapse.end('SIGKILL'));
    await eventually(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      if ((await answer.text()) !== 'api') throw new Error('api does not answer through HAProxy yet');
    });
    const bin = await writeBin(haproxy);
    const env = {
      PATH: [bin, process.env.PATH].join(delimiter),
      NERVE_CONFIG: files.nerve,
      SYNAPSE_CONFIG: files.synapse,
    };
    const replacements: readonly (readonly [page: string, here: string])[] = [
      ['/etc/nerve/nerve.yaml', files.nerve],
      ['/etc/synapse/synapse.yaml', files.synapse],
      ['/etc/haproxy/haproxy.cfg', haproxy.file],
      [',http://10.0.0.2:2379,http://10.0.0.3:2379', ''],
      ['http://10.0.0.1:2379', cluster.urls[0] as string],
      ['localhost:50003', `localhost:${port}`],
      ['127.0.0.1:3210', nerve.admin],
      ['127.0.0.1:3211', synapse.admin],
    ];
    const run = async (commands: string): Promise<string> => {
      const text = replacements.reduce((all, [page, here]) => all.replaceAll(page, here), commands);
      const options = { timeoutMs: patienceMs, cwd: haproxy.folder, env };
      const { code, stdout, stderr } = await shell(`set -eu\n${text}`, options);
      if (code !== 0) throw new Error(`${text}\nended with ${code}:\n${stdout}${stderr}`);
      return stdout;
    };
    return { run, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function writeConfigurations(
  haproxy: TestHaproxy,
  { etcd, apiPort, port }: { readonly etcd: object; readonly apiPort: number; readonly port: number },
): Promise<Files> {
  const files = { nerve: join(haproxy.folder, 'nerve.yaml'), synapse: join(haproxy.folder, 'synapse.yaml') };
  const nerve = {
    etcd,
    instance_id: 'one',
    admin: { listen: `127.0.0.1:${await freePort()}`, control_socket: join(haproxy.folder, 'nerve.sock') },
    state_file_path: false,
    services: { api: { host: '127.0.0.1', port: apiPort, checks: [{ type: 'http', uri: '/', timeout: 5 }] } },
  };
  const synapse = {
    etcd,
    admin: { listen: `127.0.0.1:${await freePort()}` },
    services: { api: { discovery: { method: 'etcd' }, haproxy: { port, listen: ['mode http'] } } },
    haproxy: haproxySection(haproxy, { restart_interval: 0 }),
  };
  // JSON is YAML too.
  await writeFile(files.nerve, JSON.stringify(nerve));
  await writeFile(files.synapse, JSON.stringify(synapse));
  return files;
}

/** Makes a folder with the programs that the pages call. */
async function writeBin(haproxy: TestHaproxy): Promise<string> {
  const bin = join(haproxy.folder, 'bin');
  await writePrograms(bin, {
    nerve: [process.execPath, programPath('nerve')],
    synapse: [process.execPath, programPath('synapse')],
    haproxy: [haproxy.program],
    etcdctl: [await findProgram('etcdctl', { version: '3.5' })],
  });
  return bin;
}
