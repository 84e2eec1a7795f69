import type { Socket } from 'node:net';
import type { ExecResult } from '../../../common/daemon/exec.ts';
import type { SimulatedDisk } from '../engine/disk.ts';
import type { Scheduler, SimulatedProcess } from '../engine/scheduler.ts';
import { ChangesByOthers } from './changes-by-others.ts';
import { SimulatedClient } from './client.ts';
import { formatAlerts, loadConfig, unloadableWord } from './config.ts';
import { countsFailures, processes } from './master.ts';
import { answer } from './runtime-api.ts';
import { RuntimeSocket } from './runtime-socket.ts';
import type { Look, SimulatedServer } from './server.ts';
import { SimulatedWorker } from './worker.ts';

export interface SimulatedHaproxyOptions {
  /** As `show info` has it. */
  readonly version: string;
  readonly configPath: string;
  readonly socketPath: string;
  readonly masterPath: string;
}

/** HAProxy in master-worker mode on one simulated host. */
export class SimulatedHaproxy {
  readonly options: SimulatedHaproxyOptions;
  /** The worker that takes new connections; undefined while HAProxy is down. */
  worker: SimulatedWorker | undefined;
  readonly oldWorkers: SimulatedWorker[] = [];
  #master: SimulatedProcess | undefined;
  reloads = 0;
  failedReloads = 0;
  /** What happened, for the history of a run. */
  onReload: (loaded: boolean) => void = () => {};
  /** A command that changes something was carried out. */
  onCommand: (pid: number, command: string, reply: string) => void = () => {};
  readonly #scheduler: Scheduler;
  readonly #disk: SimulatedDisk;
  readonly #look: Look;
  readonly #host: string;
  readonly #sockets = new Set<RuntimeSocket>();
  /** How many connections there have been. */
  opened = 0;
  readonly changesByOthers = new ChangesByOthers();
  /** How many of the next commands for servers another program takes back. */
  #undoing = 0;
  #pids = 100;
  #reloading = false;

  constructor(scheduler: Scheduler, host: string, disk: SimulatedDisk, look: Look, options: SimulatedHaproxyOptions) {
    this.#scheduler = scheduler;
    this.#host = host;
    this.#disk = disk;
    this.#look = look;
    this.options = options;
  }

  /** Starts it with the file that is there. @returns false when it does not load */
  start(): boolean {
    if (this.worker !== undefined) return true;
    const loaded = this.#load();
    if (loaded === undefined) return false;
    this.worker = loaded;
    this.#master = this.#scheduler.process(`haproxy master on ${this.#host}`);
    this.reloads = 0;
    return true;
  }

  /** Ends master and workers at once. */
  kill(): void {
    for (const worker of [this.worker, ...this.oldWorkers]) worker?.process.kill();
    this.#master?.kill();
    this.worker = undefined;
    this.oldWorkers.length = 0;
    this.#reloading = false;
    for (const socket of [...this.#sockets]) socket.reset();
  }

  /** Ends every connection to its sockets. */
  resetAll(): void {
    for (const socket of [...this.#sockets]) socket.reset();
  }

  /** Stops the worker that serves, and its connections with it, until {@link SimulatedHaproxy.thaw}. */
  freeze(): void {
    this.worker?.process.freeze();
  }

  thaw(): void {
    this.worker?.process.thaw();
  }

  /** A request comes to a port of `localhost`. @returns the server it goes to; undefined: 503 */
  route(backend: string): SimulatedServer | undefined {
    return this.worker?.process.frozen ? undefined : this.worker?.choose(backend);
  }

  /** A client connects, and leaves its connection open. @returns undefined when HAProxy is down, or hangs */
  openClient(backend: string): SimulatedClient | undefined {
    const { worker } = this;
    return worker === undefined || worker.process.frozen ? undefined : new SimulatedClient(worker, backend);
  }

  /** `haproxy -c -f FILE`. */
  check(path: string): ExecResult {
    const text = this.#disk.peek(path);
    const done = (code: number, stderr: string): ExecResult => ({ code, signal: null, stdout: '', stderr });
    if (text === undefined) return done(1, `[ALERT]    (1) : Cannot open configuration file ${path}\n`);
    const result = loadConfig(text);
    return 'alerts' in result ? done(1, formatAlerts(path, result.alerts)) : done(0, 'Configuration file is valid\n');
  }

  /** A command about a server that an operator, or another program, sends to the worker in charge. @returns the reply */
  byHand(
    what: 'ready' | 'maint' | 'delete',
    { backend, name }: { readonly backend: string; readonly name: string },
  ): string {
    const { worker } = this;
    if (worker === undefined || worker.process.frozen) return '';
    const server = worker.backends.get(backend)?.servers.get(name);
    const change = { at: this.#scheduler.now(), turns: what !== 'delete' };
    this.changesByOthers.note(`${backend}/${name}`, server?.address, change);
    const command = what === 'delete' ? `del server ${backend}/${name}` : `set server ${backend}/${name} state ${what}`;
    const send = (line: string): string => {
      const text = answer(worker, this.options.version, line, this.#scheduler.now()).trim();
      this.onCommand(worker.pid, `by hand: ${line}`, text);
      return text;
    };
    const reply = send(command);
    // One that synapse has closed has no weight: whoever opens it gives it one.
    if (what === 'ready' && server?.weight === 0) send(`set server ${backend}/${name} weight 100%`);
    return reply;
  }

  /** Another program takes back the next commands of synapse, each right after it was carried out. */
  undoNext(commands: number): void {
    this.#undoing = commands;
  }

  #undo(line: string): void {
    const [, verb = '', backend = '', name = '', state = ''] =
      /^(add|set) server ([^/]+)\/(\S+)(?: state (\w+))?/.exec(line) ?? [];
    if (this.#undoing === 0 || verb === '' || (verb === 'set' && state === '')) return;
    this.#undoing -= 1;
    this.#scheduler.at(5, () => {
      if (state === 'maint') this.byHand('ready', { backend, name });
      else {
        this.byHand('maint', { backend, name });
        this.#deleteByHand({ backend, name });
      }
    });
  }

  /** A server that has connections cannot be deleted: it is opened again then. A worker that is frozen does it later. */
  #deleteByHand(target: { readonly backend: string; readonly name: string }): void {
    if (this.worker?.process.frozen) this.#scheduler.at(50, () => this.#deleteByHand(target));
    else if (this.byHand('delete', target).includes('connections')) this.byHand('ready', target);
  }

  /** A connection to one of its sockets. */
  connect(path: string, client: SimulatedProcess): Socket {
    const master = path === this.options.masterPath;
    const socket = new RuntimeSocket(this.#scheduler, client, () => this.#sockets.delete(socket));
    this.#sockets.add(socket);
    this.opened += 1;
    const known = master || path === this.options.socketPath;
    this.#scheduler.at(
      0.05,
      () => {
        const worker = this.#accepting();
        if (!known || worker === undefined) socket.fail(known && this.#wasUp ? 'ECONNREFUSED' : 'ENOENT', path);
        else if (master)
          socket.accept(this.#master ?? worker.process, (line, reply) => this.#answerMaster(line, reply, socket));
        else socket.accept(worker.process, (line, reply) => this.#runtime(worker, line, reply, socket), worker);
      },
      client,
    );
    return socket as unknown as Socket;
  }

  #wasUp = true;

  /** While the new worker and the one that it replaces share the socket, either of them may take the connection. */
  #accepting(): SimulatedWorker | undefined {
    const former = this.oldWorkers.at(-1);
    const leaving = former?.process.alive && this.#scheduler.now() < this.#sharedUntil ? former : undefined;
    return leaving !== undefined && this.#scheduler.random() < 0.5 ? leaving : this.worker;
  }

  #sharedUntil = 0;

  #runtime(worker: SimulatedWorker, line: string, reply: (text: string) => void, socket: RuntimeSocket): void {
    if (line === 'prompt') {
      socket.prompting = true;
      reply('');
      return;
    }
    if (!socket.prompting) {
      // Without prompts, HAProxy carries out one line and closes the connection.
      const replies = line.split(';').map((part) => answer(worker, this.options.version, part, this.#scheduler.now()));
      reply(replies.join('\n'));
      socket.finish();
      return;
    }
    const text = answer(worker, this.options.version, line, this.#scheduler.now());
    if (!/^(show|set timeout|wait)\b/.test(line)) {
      this.onCommand(worker.pid, line, text.trim());
      this.#undo(line);
    }
    reply(text);
  }

  #answerMaster(line: string, reply: (text: string) => void, socket: RuntimeSocket): void {
    const [command = '', ...more] = line.split(';');
    if (command.startsWith('@')) {
      this.#answerForWorkers([command, ...more.filter((part) => part !== 'quit')], reply, socket);
      return;
    }
    if (command === 'reload') {
      if (!this.#saysHowItWent) {
        // The master executes itself, which ends the connection.
        this.#reload(() => {});
        socket.finish();
        return;
      }
      this.#reload((text) => {
        reply(text);
        socket.finish();
      });
      return;
    }
    if (command !== 'show proc') throw new Error(`the simulated master does not know '${command}'`);
    const { reloads, failedReloads: failed, worker, oldWorkers } = this;
    const state = { reloads, failed, worker: worker?.pid, oldWorkers: oldWorkers.map(({ pid }) => pid) };
    reply(processes(state, this.options.version));
    socket.finish();
  }

  /** Commands that the master passes on to a worker: `@!PID COMMAND`. The worker answers when it runs. */
  #answerForWorkers(commands: readonly string[], reply: (text: string) => void, socket: RuntimeSocket): void {
    const [command, ...more] = commands;
    if (command === undefined) {
      socket.finish();
      return;
    }
    const [, pid, line = ''] = /^@!(\d+) (.*)$/.exec(command) ?? [];
    const worker = [this.worker, ...this.oldWorkers].find((one) => one?.pid === Number(pid));
    if (worker === undefined) {
      reply(`Can't find the target PID matching the prefix '@!${pid}'`);
      return;
    }
    this.#scheduler.at(
      0.05,
      () => {
        reply(answer(worker, this.options.version, line, this.#scheduler.now()));
        this.#answerForWorkers(more, reply, socket);
      },
      worker.process,
    );
  }

  /** From 2.7 on the master answers `reload` when the new worker is there, or is refused. */
  get #saysHowItWent(): boolean {
    return !this.options.version.startsWith('2.6');
  }

  /** A reload that synapse has not asked for. */
  reloadByOther(): void {
    this.#reload(() => {});
  }

  #reload(done: (text: string) => void): void {
    if (this.#reloading) {
      done('Success=0\n--\nanother reload is under way\n');
      return;
    }
    this.#reloading = true;
    const before = this.worker;
    const afterMs = 30 + this.#scheduler.random() * 60;
    this.#scheduler.at(afterMs, () => {
      this.#reloading = false;
      if (before !== this.worker) return;
      this.reloads += 1;
      const next = this.#load();
      this.onReload(next !== undefined);
      if (next === undefined) {
        this.failedReloads = countsFailures(this.options.version) ? this.failedReloads + 1 : 1;
        done('Success=0\n--\n[ALERT]    (1) : config : the simulated HAProxy does not load this file\n');
        return;
      }
      this.failedReloads = 0;
      this.worker = next;
      if (before !== undefined) this.#retire(before);
      done('Success=1\n--\nLoading success.\n');
    });
  }

  #retire(worker: SimulatedWorker): void {
    worker.stopping = true;
    this.oldWorkers.push(worker);
    this.#sharedUntil = this.#scheduler.now() + 50;
    const look = (): void => {
      const isAsked = [...this.#sockets].some((socket) => socket.worker === worker);
      if (worker.connections > 0 || isAsked || this.#scheduler.now() < this.#sharedUntil) {
        this.#scheduler.at(100, look);
        return;
      }
      const at = this.oldWorkers.indexOf(worker);
      if (at >= 0) this.oldWorkers.splice(at, 1);
      worker.process.kill();
    };
    this.#scheduler.at(100, look);
  }

  #load(): SimulatedWorker | undefined {
    const text = this.#disk.peek(this.options.configPath);
    if (text === undefined || text.includes(unloadableWord)) return undefined;
    const result = loadConfig(text);
    if ('alerts' in result) return undefined;
    const pid = ++this.#pids;
    const process = this.#scheduler.process(`haproxy ${pid} on ${this.#host}`);
    return new SimulatedWorker(this.#scheduler, process, pid, result.config, this.#look);
  }
}
