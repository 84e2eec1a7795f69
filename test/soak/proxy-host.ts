import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { waitFor } from '../../deploy/demo/child.ts';
import { haproxyCommand } from '../../deploy/demo/haproxy.ts';
import { addHaproxy, addSynapse, type Daemon, type Haproxy, startHaproxy } from '../../deploy/demo/parts.ts';
import { answers } from '../../deploy/demo/probe.ts';
import { Processes } from '../../deploy/demo/processes.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import type { SynapseEvent } from '../../synapse/report/event-shape.ts';
import { EtcdRoute } from './etcd-route.ts';

/** A host with one HAProxy and the synapse that keeps it. */
export class ProxyHost {
  readonly name: string;
  readonly route: EtcdRoute;
  /** HAProxy's port of each service. */
  readonly ports: Readonly<Record<string, number>>;
  readonly haproxy: Haproxy;
  readonly synapse: Daemon;
  readonly #processes: Processes;
  /** How often HAProxy was started; it is down between a kill and the next start. */
  #starts = 1;
  #isDown = false;

  private constructor(
    name: string,
    parts: Pick<ProxyHost, 'route' | 'ports' | 'haproxy' | 'synapse'>,
    processes: Processes,
  ) {
    this.name = name;
    this.route = parts.route;
    this.ports = parts.ports;
    this.haproxy = parts.haproxy;
    this.synapse = parts.synapse;
    this.#processes = processes;
  }

  /** Starts HAProxy and synapse in a folder of their own below `folder`. */
  static async start(
    name: string,
    options: { readonly folder: string; readonly services: readonly string[]; readonly urls: readonly string[] },
    { haproxyPath }: { readonly haproxyPath: string },
  ): Promise<ProxyHost> {
    const folder = join(options.folder, name);
    await mkdir(folder);
    const processes = new Processes(folder);
    const route = await EtcdRoute.start(options.urls);
    const ports: Record<string, number> = {};
    for (const service of options.services) ports[service] = await freePort();
    const haproxy = await addHaproxy(processes, haproxyPath);
    const synapse = await addSynapse(processes, { etcd: { hosts: route.hosts }, ports, haproxy, haproxyPath });
    return new ProxyHost(name, { route, ports, haproxy, synapse }, processes);
  }

  /** Where synapse keeps its last good catalog. */
  get stateFile(): string {
    return join(this.#processes.folder, 'synapse.state.json');
  }

  get starts(): number {
    return this.#starts;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** Kills HAProxy's worker, which ends the master too, and starts HAProxy again with the file that it has. */
  async killHaproxy(): Promise<void> {
    this.#isDown = true;
    const pid = Number(/^Pid: (\d+)$/m.exec(await haproxyCommand(this.haproxy.socket, 'show info'))?.[1]);
    process.kill(pid, 'SIGKILL');
    await this.haproxy.process.stop('SIGTERM');
    this.haproxy.process = await startHaproxy(this.#processes, this.haproxy);
    this.#starts += 1;
    this.#isDown = false;
  }

  /** Starts synapse again after it ended. Does not wait until it is ready: etcd may be out of reach. */
  async restartSynapse(): Promise<void> {
    const { argv, configFile, admin } = this.synapse;
    const child = await this.#processes.start('synapse', [...argv, '-c', configFile]);
    this.synapse.process = child;
    // A SIGHUP before that would end it.
    await waitFor(child, () => answers(`http://${admin}/healthz`));
  }

  /** Process ids of the workers that synapse says it has brought up to date; none while it does not answer. */
  async connectedWorkers(): Promise<readonly number[]> {
    try {
      const { body } = await request(`http://${this.synapse.admin}/api/v1/events`, { headersTimeout: 2_000 });
      const { events } = (await body.json()) as { readonly events: readonly SynapseEvent[] };
      return events.flatMap(({ kind, pid }) => (kind === 'haproxy_connected' && pid !== undefined ? [pid] : []));
    } catch {
      return [];
    }
  }

  /** Changes a line of haproxy.cfg that HAProxy has to be reloaded for. */
  async changeDefaults(queueSeconds: number): Promise<void> {
    const config = JSON.parse(await readFile(this.synapse.configFile, 'utf8'));
    const others = config.haproxy.defaults.filter((line: string) => !line.startsWith('timeout queue'));
    config.haproxy.defaults = [...others, `timeout queue ${queueSeconds}s`];
    await writeFile(this.synapse.configFile, JSON.stringify(config, null, 2));
    this.synapse.process.signal('SIGHUP');
  }

  async close(): Promise<void> {
    await this.#processes.stop();
    await this.route.close();
  }
}
