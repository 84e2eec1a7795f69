import type { Socket } from 'node:net';
import { onAbort } from '../../../common/async/abort.ts';
import { clock, type Timer } from '../../../common/async/clock.ts';
import { sleep, type WakeableSleep } from '../../../common/async/sleep.ts';
import type { Host } from '../../../common/host.ts';
import { plainReason } from '../../../common/reason.ts';

/** How to connect. */
export interface ConnectOptions {
  readonly connectUnix: Host['connectUnix'];
  /** While a reply is due: how long nothing may arrive until the connection counts as dead. */
  readonly replyTimeoutMs: number;
}

/** The runtime API cannot be reached, or does not answer. */
export class RuntimeUnavailable extends Error {
  override readonly name = 'RuntimeUnavailable';
  /** Why, in plain words, without the socket's path. */
  readonly reason: string;

  constructor(path: string, cause: unknown) {
    const reason = plainReason(cause);
    super(`cannot use HAProxy's runtime API at ${path}: ${reason}`);
    this.reason = reason;
  }
}

/** In prompt mode this ends every reply, in all versions, as long as each line carries one command. */
const prompt = '\n> ';
/** HAProxy closes an idle connection after 10 s unless it is told otherwise. */
const idleTimeoutSeconds = 3600;

/**
 * Opens the runtime API in prompt mode. The connection ends when `signal` aborts.
 * @throws {RuntimeUnavailable} when the socket cannot be reached or does not answer
 */
export async function connectRuntime(
  path: string,
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<RuntimeConnection> {
  const connection = new RuntimeConnection(options.connectUnix(path), options, signal);
  try {
    // The greeting of `prompt` counts as its reply.
    await connection.send(['prompt', `set timeout cli ${idleTimeoutSeconds}`]);
  } catch (error) {
    connection.close();
    throw new RuntimeUnavailable(path, error);
  }
  return connection;
}

/** Commands that were written together, and the replies to them so far. */
interface Batch {
  readonly replies: string[];
  readonly count: number;
  readonly resolve: (replies: readonly string[]) => void;
  readonly reject: (error: Error) => void;
}

/** A connection to HAProxy's runtime API (management guide, section 9.3). */
export class RuntimeConnection {
  readonly #socket: Socket;
  readonly #replyTimeoutMs: number;
  readonly #waiting: Batch[] = [];
  #removeAbortListener: () => void = () => {};
  /** Aborts with the connection. Pauses wait for it, because a race with a long-lived promise leaks memory. */
  readonly #ended = new AbortController();
  /** Why the connection ended; undefined while it is open. */
  #error: Error | undefined;
  #timer: Timer | undefined;
  /** The present reply: what has arrived of it, without `#tail`. */
  #parts: string[] = [];
  /** The last bytes that arrived, if they may be the beginning of a prompt. */
  #tail = '';

  /** Use {@link connectRuntime}, which also switches to prompt mode. */
  constructor(socket: Socket, { replyTimeoutMs }: Pick<ConnectOptions, 'replyTimeoutMs'>, signal: AbortSignal) {
    this.#socket = socket;
    this.#replyTimeoutMs = replyTimeoutMs;
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('HAProxy closed the connection')));
    this.#removeAbortListener = onAbort(signal, () => this.#end(new Error('aborted')));
  }

  /**
   * Writes all commands at once, one on a line, and resolves with one reply for each, in order. The bytes are on their
   * way when this returns. Rejects when the connection ends first: HAProxy may or may not have carried them out then.
   */
  send(commands: readonly string[]): Promise<readonly string[]> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (commands.length === 0) return Promise.resolve([]);
    this.#socket.write(`${commands.join('\n')}\n`);
    const replies = new Promise<readonly string[]>((resolve, reject) => {
      this.#waiting.push({ replies: [], count: commands.length, resolve, reject });
    });
    if (this.#waiting.length === 1) this.#restartTimer();
    return replies;
  }

  /** Waits; returns early when the connection ends, or when `sleeper` is woken. */
  pause(delayMs: number, sleeper?: WakeableSleep): Promise<void> {
    return sleeper?.sleep(delayMs, this.#ended.signal) ?? sleep(delayMs, this.#ended.signal);
  }

  /** Ends the connection; commands that wait for replies are rejected with the reason. */
  close(reason: Error = new Error('closed')): void {
    this.#end(reason);
  }

  #end(error: Error): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    clock.clearTimeout(this.#timer);
    this.#removeAbortListener();
    this.#socket.destroy();
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    this.#ended.abort();
  }

  #receive(chunk: string): void {
    let text = this.#tail + chunk;
    for (let at = text.indexOf(prompt); at >= 0; at = text.indexOf(prompt)) {
      this.#parts.push(text.slice(0, at));
      text = text.slice(at + prompt.length);
      this.#finishReply();
      if (this.#error !== undefined) return;
    }
    // A chunk may end inside a prompt: the prompt's first bytes wait for the rest.
    const keep = text.endsWith('\n>') ? 2 : text.endsWith('\n') ? 1 : 0;
    this.#tail = text.slice(text.length - keep);
    if (text.length > keep) this.#parts.push(text.slice(0, text.length - keep));
    this.#restartTimer();
  }

  #finishReply(): void {
    const reply = this.#parts.length === 1 ? (this.#parts[0] as string) : this.#parts.join('');
    this.#parts = [];
    const batch = this.#waiting[0];
    if (batch === undefined) {
      this.#end(new Error(`an unexpected reply: ${JSON.stringify(reply.slice(0, 100))}`));
      return;
    }
    batch.replies.push(reply);
    if (batch.replies.length === batch.count) {
      this.#waiting.shift();
      batch.resolve(batch.replies);
    }
  }

  #restartTimer(): void {
    clock.clearTimeout(this.#timer);
    if (this.#waiting.length === 0) return;
    const timeoutMs = this.#replyTimeoutMs;
    this.#timer = clock.setTimeout(() => this.#end(new Error(`no reply within ${timeoutMs} ms`)), timeoutMs);
  }
}
