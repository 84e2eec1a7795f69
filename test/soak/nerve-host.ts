import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { control } from '../../common/admin/client.ts';
import { waitFor } from '../../deploy/demo/child.ts';
import { type Daemon, startDaemon } from '../../deploy/demo/parts.ts';
import { answers } from '../../deploy/demo/probe.ts';
import type { Processes } from '../../deploy/demo/processes.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { EtcdRoute } from './etcd-route.ts';
import { SoakInstance } from './instance.ts';

const nerveMain = fileURLToPath(new URL('../../nerve/main.js', import.meta.url));

/** Seconds: shorter than most of the faults. */
export const ttlSeconds = 5;

/** A host with one nerve and the instances that it announces, all under one lease. */
export class NerveHost {
  readonly name: string;
  readonly route: EtcdRoute;
  readonly instances: readonly SoakInstance[];
  readonly #processes: Processes;
  readonly #socket: string;
  #daemon: Daemon;

  private constructor(
    name: string,
    parts: { route: EtcdRoute; instances: readonly SoakInstance[]; daemon: Daemon },
    processes: Processes,
  ) {
    this.name = name;
    this.route = parts.route;
    this.instances = parts.instances;
    this.#daemon = parts.daemon;
    this.#processes = processes;
    this.#socket = socketOf(processes, name);
  }

  /** Starts the host with `perService` instances of each service. */
  static async start(
    name: string,
    options: { readonly services: readonly string[]; readonly perService: number; readonly urls: readonly string[] },
    processes: Processes,
  ): Promise<NerveHost> {
    const { services, perService, urls } = options;
    const route = await EtcdRoute.start(urls);
    const instances: SoakInstance[] = [];
    for (const service of services) {
      for (let count = 0; count < perService; count += 1) instances.push(await SoakInstance.start(service, name));
    }
    const admin = `127.0.0.1:${await freePort()}`;
    const configFile = join(processes.folder, `${name}.json`);
    const checks = [{ type: 'http', uri: '/health', timeout: 2, rise: 1, fall: 2 }];
    const config = {
      instance_id: name,
      ttl: ttlSeconds,
      etcd: { hosts: route.hosts },
      admin: { listen: admin, control_socket: socketOf(processes, name) },
      state_file_path: join(processes.folder, `${name}.state.json`),
      services: Object.fromEntries(
        instances.map(({ service, port }) => [
          serviceName(port),
          { host: '127.0.0.1', port, etcd_path: `/nerve/services/${service}`, check_interval: 0.2, checks },
        ]),
      ),
    };
    await writeFile(configFile, JSON.stringify(config, null, 2));
    const daemon = { argv: [process.execPath, nerveMain], configFile, admin } as const;
    const child = await startDaemon(processes, name, daemon);
    return new NerveHost(name, { route, instances, daemon: { ...daemon, process: child } }, processes);
  }

  get process(): Daemon['process'] {
    return this.#daemon.process;
  }

  /** Starts nerve again after it ended. Does not wait until it is ready: etcd may be out of reach. */
  async restart(): Promise<void> {
    const { argv, configFile, admin } = this.#daemon;
    const child = await this.#processes.start(this.name, [...argv, '-c', configFile]);
    this.#daemon.process = child;
    await waitFor(child, () => answers(`http://${admin}/healthz`));
  }

  /** OperatorChanges an instance, or ends that, as `nerve drain` does. */
  async drain({ port }: SoakInstance, action: 'drain' | 'undrain'): Promise<void> {
    const target = { listen: this.#daemon.admin, control_socket: this.#socket };
    await control(target as never, `/api/v1/${action}`, { service: serviceName(port) }, { program: 'nerve' });
  }

  async close(): Promise<void> {
    await this.route.close();
    for (const instance of this.instances) await instance.close();
  }
}

function serviceName(port: number): string {
  return `port-${port}`;
}

function socketOf(processes: Processes, name: string): string {
  return join(processes.folder, `${name}.sock`);
}
