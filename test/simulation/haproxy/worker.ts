import type { Scheduler, SimulatedProcess } from '../engine/scheduler.ts';
import type { SimulatedClient } from './client.ts';
import type { LoadedConfig } from './config.ts';
import { type Look, SimulatedServer } from './server.ts';

export interface SimulatedBackend {
  readonly name: string;
  /** Frontends and backends share one numbering. */
  readonly id: number;
  readonly servers: Map<string, SimulatedServer>;
  /** It balances in a way that takes servers at run time. */
  readonly dynamic: boolean;
  turn: number;
}

/** One worker process: what it loaded, and what was changed in it since. */
export class SimulatedWorker {
  readonly pid: number;
  readonly startedAt: number;
  readonly process: SimulatedProcess;
  readonly config: LoadedConfig;
  readonly backends = new Map<string, SimulatedBackend>();
  /** Connections of clients, idle ones too. */
  readonly clients = new Set<SimulatedClient>();
  /** A newer worker has taken over: it finishes its connections. */
  stopping = false;
  readonly #scheduler: Scheduler;
  readonly #look: Look;

  constructor(scheduler: Scheduler, process: SimulatedProcess, pid: number, config: LoadedConfig, look: Look) {
    this.#scheduler = scheduler;
    this.process = process;
    this.pid = pid;
    this.startedAt = scheduler.now();
    this.config = config;
    this.#look = look;
    let ids = 2;
    for (const { name, servers, lines } of config.backends) {
      ids += 2;
      const backend: SimulatedBackend = {
        name,
        id: ids,
        servers: new Map(),
        dynamic: !lines.some((line) => /^balance (static-rr|source|uri)/.test(line)),
        turn: 0,
      };
      this.backends.set(name, backend);
      for (const { name: server, address, words } of servers) this.add(backend, server, address, words, false);
    }
  }

  /** The servers of a backend; none where there is no such backend. */
  serversOf(backend: string): readonly SimulatedServer[] {
    return [...(this.backends.get(backend)?.servers.values() ?? [])];
  }

  /** Connections that are left, of clients and to servers. */
  get connections(): number {
    let all = this.clients.size;
    for (const { servers } of this.backends.values()) for (const { sessions } of servers.values()) all += sessions;
    return all;
  }

  add(
    backend: SimulatedBackend,
    name: string,
    address: string,
    words: readonly string[],
    atRunTime: boolean,
  ): SimulatedServer {
    const at = words.indexOf('id');
    const id = at < 0 ? this.#freeId(backend) : Number(words[at + 1]);
    const server = new SimulatedServer(name, address, words, id, atRunTime);
    backend.servers.set(name, server);
    if (server.checked) server.startChecks(this.#scheduler, this.process, this.#look);
    return server;
  }

  /** The server that a new request goes to; undefined when there is none: 503. */
  choose(backendName: string): SimulatedServer | undefined {
    const backend = this.backends.get(backendName);
    if (backend === undefined) return undefined;
    const usable = [...backend.servers.values()].filter((server) => server.usable);
    const first = usable.filter(({ backup }) => !backup);
    const candidates = first.length > 0 ? first : usable.slice(0, 1);
    backend.turn += 1;
    return candidates[backend.turn % Math.max(1, candidates.length)];
  }

  #freeId({ servers }: SimulatedBackend): number {
    const taken = new Set([...servers.values()].map(({ id }) => id));
    let id = 1;
    while (taken.has(id)) id += 1;
    return id;
  }
}
