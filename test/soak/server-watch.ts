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
  /** This worker has not been seen before: it began with what haproxy.cfg had when its reload began. */
  readonly isNewWorker: boolean;
}

/**
 * Looks at one HAProxy again and again. A server that was out of rotation while its key was withdrawn or drained must not
 * take new connections again before etcd has a later record that announces it. No time is part of that: revisions decide.
 *
 * A worker reads haproxy.cfg once. What is withdrawn while it starts is right in it as soon as synapse has connected to it, and
 * synapse says so with an event.
 */
export class ServerWatch {
  readonly #host: ProxyHost;
  readonly #recorder: EtcdRecorder;
  readonly #history: History;
  /** Servers that were seen out of rotation, by name: the revision that withdrew or drained them. */
  readonly #out = new Map<string, KeyRevision>();
  readonly #retired = new Set<number>();
  readonly #checks = new Set<Promise<void>>();
  #last = new Map<string, string>();
  #pid = 0;
  #starts = 0;

  constructor(host: ProxyHost, { recorder, history }: { readonly recorder: EtcdRecorder; readonly history: History }) {
    this.#host = host;
    this.#recorder = recorder;
    this.#history = history;
  }

  /** Looks until `signal` aborts, then finishes the checks that are under way. */
  async run(signal: AbortSignal, checks: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const withdrawn = new Map(
        this.#recorder
          .current()
          .filter(({ state }) => state === 'down' || state === 'drain')
          .map((one) => [one.key.replace(/^.*\/services\//, ''), one]),
      );
      const { starts } = this.#host;
      const look = await this.#look();
      if (look !== undefined && !this.#host.isDown && starts === this.#host.starts)
        this.#judge(look, withdrawn, checks);
      await sleep(everyMs, signal);
    }
    await Promise.all(this.#checks);
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

  #judge(look: Look, withdrawn: ReadonlyMap<string, KeyRevision>, signal: AbortSignal): void {
    this.#history.count('looks at HAProxy');
    if (look.isStopping || this.#retired.has(look.pid)) return;
    const isNewWorker = look.pid !== this.#pid;
    if (isNewWorker) {
      this.#history.note(`${this.#host.name}: worker ${look.pid} after ${this.#pid}`);
      this.#retired.add(this.#pid);
      this.#pid = look.pid;
      this.#history.count('workers of HAProxy');
    }
    if (this.#starts !== this.#host.starts) {
      // A HAProxy that was killed begins with the file that it has, which may be some moments old.
      this.#starts = this.#host.starts;
      this.#out.clear();
    }
    const states = new Map(look.servers.map((server) => [`${server.backend}/${server.name}`, stateOf(server)]));
    for (const [id, was] of withdrawn) {
      // The first revision counts: a synapse that is behind still has to apply what came before the next one.
      if (states.get(id) !== 'ready' && !this.#out.has(id)) this.#out.set(id, was);
    }
    for (const [id, state] of states) {
      if (this.#last.get(id) !== state) this.#history.note(`${this.#host.name}: ${id} is ${state}`);
      const was = this.#out.get(id);
      if (state !== 'ready' || was === undefined) continue;
      this.#out.delete(id);
      const check = this.#checkReturn({ was, id, pid: look.pid, isNewWorker }, signal).finally(() => {
        this.#checks.delete(check);
      });
      this.#checks.add(check);
    }
    for (const id of this.#last.keys()) if (!states.has(id)) this.#history.note(`${this.#host.name}: ${id} is gone`);
    this.#last = states;
  }

  async #checkReturn(back: Return, signal: AbortSignal): Promise<void> {
    const { was, id, pid, isNewWorker } = back;
    if ((await this.#isAnnounced(was, signal)) || signal.aborted) return;
    if (isNewWorker) {
      this.#history.count('servers that were withdrawn while a reload went on');
      await this.#untilConnected(pid, signal);
      const look = await this.#look();
      const server = look?.servers.find((one) => `${one.backend}/${one.name}` === id);
      const isOut = server === undefined || stateOf(server) !== 'ready';
      if (isOut || look?.pid !== pid || signal.aborted || (await this.#isAnnounced(was, signal))) return;
    }
    const { key, state, revision } = was;
    this.#history.violated(
      `${this.#host.name}: ${key} takes connections again, although it is ${state} since revision ${revision}`,
    );
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
