import { connect } from 'node:net';
import { clock, type Timer } from '../../../common/async/clock.ts';
import { sleep } from '../../../common/async/supervise.ts';
import { plainReason } from '../../../common/reason.ts';

/** A connection to HAProxy's runtime API (management guide, section 9.3). */
export interface RuntimeConnection {
  /**
   * Writes all commands at once, one a line, and resolves with one reply for each, in order. The bytes are on their way
   * when this returns. Rejects when the connection ends first: whether the commands were carried out is unknown then.
   */
  send(commands: readonly string[]): Promise<readonly string[]>;
  /** Resolves with the reason when the connection has ended. */
  readonly closed: Promise<Error>;
  /** Waits; returns at once when the connection has ended. Milliseconds. */
  pause(milliseconds: number): Promise<void>;
  close(): void;
}

export interface RuntimeOptions {
  /** Milliseconds without any reply, while one is due, until the connection counts as dead. */
  readonly timeout: number;
}

interface Pending {
  readonly replies: string[];
  readonly count: number;
  readonly resolve: (replies: readonly string[]) => void;
  readonly reject: (error: Error) => void;
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

/** Ends every reply in prompt mode, on all versions as long as each line carries one command. */
const prompt = '\n> ';
/** HAProxy closes a silent connection after 10 s unless told otherwise; seconds. */
const idleSeconds = 3600;

/**
 * Opens the runtime API in prompt mode. Ends when `signal` aborts.
 * @throws {RuntimeUnavailable} when the socket cannot be reached or does not answer
 */
export async function connectRuntime(
  path: string,
  options: RuntimeOptions,
  signal: AbortSignal,
): Promise<RuntimeConnection> {
  const connection = open(path, options, signal);
  try {
    // The greeting of `prompt` counts as its reply.
    await connection.send(['prompt', `set timeout cli ${idleSeconds}`]);
  } catch (error) {
    connection.close();
    throw new RuntimeUnavailable(path, error);
  }
  return connection;
}

function open(path: string, { timeout }: RuntimeOptions, signal: AbortSignal): RuntimeConnection {
  const socket = connect({ path });
  socket.setEncoding('utf8');
  const queue: Pending[] = [];
  let parts: string[] = [];
  let tail = '';
  let end: Error | undefined;
  let timer: Timer | undefined;
  /** Ends pauses. Not a race with `closed`, in which every race would leave something until the connection ends. */
  const over = new AbortController();
  let settleClosed: (error: Error) => void = () => {};
  const closed = new Promise<Error>((resolve) => {
    settleClosed = resolve;
  });

  const fail = (error: Error): void => {
    if (end !== undefined) return;
    end = error;
    clock.clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
    for (const pending of queue.splice(0)) pending.reject(error);
    over.abort();
    settleClosed(error);
  };
  const onAbort = (): void => fail(new Error('aborted'));
  const watch = (): void => {
    clock.clearTimeout(timer);
    if (queue.length > 0) timer = clock.setTimeout(() => fail(new Error(`no reply within ${timeout} ms`)), timeout);
  };
  const finishReply = (): void => {
    const reply = parts.length === 1 ? (parts[0] as string) : parts.join('');
    parts = [];
    const pending = queue[0];
    if (pending === undefined) {
      fail(new Error(`an unexpected reply: ${JSON.stringify(reply.slice(0, 100))}`));
      return;
    }
    pending.replies.push(reply);
    if (pending.replies.length === pending.count) {
      queue.shift();
      pending.resolve(pending.replies);
    }
  };
  const onData = (chunk: string): void => {
    let text = tail + chunk;
    for (let at = text.indexOf(prompt); at >= 0; at = text.indexOf(prompt)) {
      parts.push(text.slice(0, at));
      text = text.slice(at + prompt.length);
      finishReply();
      if (end !== undefined) return;
    }
    // A prompt may be cut in two: its first bytes wait for the rest.
    const keep = text.endsWith('\n>') ? 2 : text.endsWith('\n') ? 1 : 0;
    tail = text.slice(text.length - keep);
    if (text.length > keep) parts.push(text.slice(0, text.length - keep));
    watch();
  };

  socket.on('data', onData);
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('HAProxy closed the connection')));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();

  return {
    send(commands) {
      if (end !== undefined) return Promise.reject(end);
      if (commands.length === 0) return Promise.resolve([]);
      socket.write(`${commands.join('\n')}\n`);
      const replies = new Promise<readonly string[]>((resolve, reject) => {
        queue.push({ replies: [], count: commands.length, resolve, reject });
      });
      if (queue.length === 1) watch();
      return replies;
    },
    closed,
    pause: (milliseconds) => sleep(milliseconds, over.signal),
    close: () => fail(new Error('closed')),
  };
}
