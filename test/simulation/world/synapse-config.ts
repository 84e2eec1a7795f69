import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSynapseConfig, type SynapseConfig } from '../../../synapse/config/config.ts';
import { proxyPaths } from './proxy-host.ts';
import type { WorldSettings } from './world.ts';

/** The configuration of the synapses of a run, read as users' files are. */
export async function synapseConfig({ services, check }: WorldSettings): Promise<SynapseConfig> {
  const folder = await mkdtemp(join(tmpdir(), 'simulation-'));
  const file = join(folder, 'synapse.json');
  const ports = services.map(({ name }, index) => [
    name,
    {
      discovery: { method: 'etcd' },
      haproxy: { port: 7_001 + index, listen: ['mode http'], ...(check && { server_options: 'check inter 2s' }) },
    },
  ]);
  const value = {
    etcd: { hosts: ['http://etcd-1:2379', 'http://etcd-2:2379', 'http://etcd-3:2379'] },
    admin: { listen: false },
    state_file_path: proxyPaths.stateFile,
    services: Object.fromEntries(ports),
    haproxy: {
      global: ['maxconn 1000'],
      defaults: ['mode http', 'timeout connect 2s', 'timeout client 1m', 'timeout server 1m'],
      config_file_path: proxyPaths.configPath,
      socket_file_path: proxyPaths.socketPath,
      master_socket_path: proxyPaths.masterPath,
    },
  };
  try {
    await writeFile(file, JSON.stringify(value));
    return await readSynapseConfig(file, { env: {} });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
