import { sleep } from '../../common/async/sleep.ts';
import { type HaproxyServer, haproxyCommand, parseServers } from '../../deploy/demo/haproxy.ts';
import type { EtcdRecorder, KeyRevision } from './etcd-recorder.ts';
import type { History } from './history.ts';
import type { ProxyHost } from './proxy-host.ts';

const everyMs = 100;

/** What one reply of HAProxy said. */
interface Look {
  readonly pid: number;
  /** A worker that a reload has replaced: nothing new reaches it. */
  readonly isStopping: boolean;
  readonly servers: readonly HaproxyServer[];
}

/** A server that takes connections again, as one look showed it. */
interface Return {
  /** What etcd said when it was out of rotation. */
  readonly was: KeyRevision;
  readonly id: string;
  readonly pid: number;
  /** Synapse had not said yet that it has brought this worker up to date. */
  readonly isNewWorker: boolean;
}

/**
 * Looks at one HAProxy again and again. What it shows of a server must be a walk through what etcd has said under the key,
 * forwards only: once a server is out of rotation because its key was withdrawn or drained, it must not take new connections
 * again before a later record announces it. No time is part of that: a synapse may be behind, but not go back.
 *
 * A worker reads haproxy.cfg once. What is withdrawn while it starts is right in it as soon as synapse has connected to it, and
 * synapse says so with an event.
 */
export class ServerWatch {
  readonly #host: ProxyHost;
  readonly #recorder: EtcdRecorder;
  readonly #history: History;
  /** By server: the first of the records under its key that explains what was seen of it so far. */
  readonly #at = new Map<string, number>();
  readonly #retired = new Set<number>();
  /** Checks that are under way, by server. */
  readonly #checks = new Map<string, Promise<void>>();
  readonly #told = new Set<string>();
  #last = new Map<string, string>();
  #pid = 0;
  #starts = 0;
  /** The worker that synapse has brought up to date. */
  #settled = 0;

  constructor(host: ProxyHost, { recorder, history }: { readonly recorder: EtcdRecorder; readonly history: History }) {
    this.#host = host;
    this.#recorder = recorder;
    this.#history = history;
  }

  /** Looks until `signal` aborts, then finishes the checks that are under way. */
  async run(signal: AbortSignal, checks: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { starts } = this.#host;
      const look = await this.#look();
      if (look !== undefined && !this.#host.isDown && starts === this.#host.starts) this.#judge(look, checks);
      await sleep(everyMs, signal);
    }
    await Promise.all(this.#checks.values());
  }

  async #look(): Promise<Look | undefined> {
    try {
      const reply = await haproxyCommand(this.#host.haproxy.socket, 'show info;show servers state');
      const [info = '', state = ''] = reply.split(/^(?=1$)/m);
      const pid = Number(/^Pid: (\d+)$/m.exec(info)?.[1]);
      return { pid, isStopping: /^Stopping: 1$/m.test(info), servers: parseServers(state) };
    } catch {
      return undefined;
    }
  }

  #judge(look: Look, signal: AbortSignal): void {
    this.#history.count('looks at HAProxy');
    if (look.isStopping || this.#retired.has(look.pid)) return;
    if (look.pid !== this.#pid) {
      this.#history.note(`${this.#host.name}: worker ${look.pid} after ${this.#pid}`);
      this.#retired.add(this.#pid);
      this.#pid = look.pid;
      this.#history.count('workers of HAProxy');
      void this.#untilConnected(look.pid, signal).then(() => {
        this.#settled = look.pid;
      });
    }
    if (this.#starts !== this.#host.starts) {
      // A HAProxy that was killed begins with the file that it has, which may be some moments old.
      this.#starts = this.#host.starts;
      this.#at.clear();
    }
    const states = new Map(look.servers.map((server) => [`${server.backend}/${server.name}`, stateOf(server)]));
    for (const [id, state] of states) {
      if (this.#last.get(id) !== state) this.#history.note(`${this.#host.name}: ${id} is ${state}`);
    }
    for (const id of new Set([...states.keys(), ...this.#at.keys()])) {
      const was = this.#walk(id, states.get(id) === 'ready');
      if (was !== undefined) this.#check({ was, id, pid: look.pid, isNewWorker: look.pid !== this.#settled }, signal);
    }
    for (const id of this.#last.keys()) if (!states.has(id)) this.#history.note(`${this.#host.name}: ${id} is gone`);
    this.#last = states;
  }

  /**
   * Takes what was seen of a server.
   * @returns the record that took it out of rotation, when it is in rotation and none is known that announces it since
   */
  #walk(id: string, isInRotation: boolean): KeyRevision | undefined {
    const from = this.#at.get(id);
    // What a worker has at its start, and what it never had, says nothing about how far synapse is.
    if (!isInRotation && (from === undefined || this.#pid !== this.#settled)) return undefined;
    const records = this.#recorder.of(keyOf(id));
    const next = records.findIndex(({ state }, index) => index >= (from ?? 0) && (state === 'up') === isInRotation);
    if (next >= 0) this.#at.set(id, next);
    if (next >= 0 || !isInRotation) return undefined;
    // A lost instance that answers may come back, as part of a wave.
    const isLost = records[from ?? 0]?.state === 'deleted' && records[(from ?? 0) - 1]?.state !== 'down';
    return isLost ? undefined : records[from ?? 0];
  }

  #check(back: Return, signal: AbortSignal): void {
    const { id, was } = back;
    const name = `${id} ${was.revision}`;
    if (this.#checks.has(id) || this.#told.has(name)) return;
    const check = this.#checkReturn(back, signal).then((isWrong) => {
      this.#checks.delete(id);
      if (!isWrong) return;
      this.#told.add(name);
      const { key, state, revision } = was;
      this.#history.violated(
        `${this.#host.name}: ${key} takes connections again, although it is ${state} since revision ${revision}`,
      );
    });
    this.#checks.set(id, check);
  }

  /** @returns true when nothing explains that it is back */
  async #checkReturn({ was, id, pid, isNewWorker }: Return, signal: AbortSignal): Promise<boolean> {
    if ((await this.#isAnnounced(was, signal)) || signal.aborted) return false;
    if (!isNewWorker) return true;
    this.#history.count('servers that were withdrawn while a reload went on');
    await this.#untilConnected(pid, signal);
    const look = await this.#look();
    const server = look?.servers.find((one) => `${one.backend}/${one.name}` === id);
    const isOut = server === undefined || stateOf(server) !== 'ready';
    return !(isOut || look?.pid !== pid || signal.aborted || (await this.#isAnnounced(was, signal)));
  }

  /** Reads what etcd has by now, from two members: one that was frozen may answer once from its past. */
  async #isAnnounced({ key, revision }: KeyRevision, signal: AbortSignal): Promise<boolean> {
    this.#history.count('servers that came back');
    const answers = [await this.#recorder.read(key, signal), await this.#recorder.read(key, signal)];
    const by = Math.max(...answers.map((answer) => answer.revision));
    if (answers.some(({ upSince }) => upSince > revision)) return true;
    await this.#recorder.reached(by, signal);
    return this.#recorder.of(key).some((one) => one.state === 'up' && one.revision > revision && one.revision <= by);
  }

  /** Resolves when synapse has brought this worker up to date, or HAProxy has another worker. */
  async #untilConnected(pid: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#pid === pid) {
      if ((await this.#host.connectedWorkers()).includes(pid)) return;
      await sleep(everyMs, signal);
    }
  }
}

/** In haproxy.cfg a drain is written as weight 0. */
function stateOf({ state, weight }: HaproxyServer): HaproxyServer['state'] {
  return state === 'ready' && weight === 0 ? 'drain' : state;
}

function keyOf(id: string): string {
  return `/nerve/services/${id}`;
}
