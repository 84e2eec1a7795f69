import assert from 'node:assert/strict';
import { connect, type NetConnectOpts, type Socket } from 'node:net';

/** An answer as it came. */
export interface Received {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** The answers in a text. `methods` are those of the requests; a stream of events is the last. @throws when it is no HTTP */
export function answersIn(text: string, methods: readonly string[]): readonly Received[] {
  const answers: Received[] = [];
  for (let rest = text; rest !== ''; ) {
    const [all = '', status, head = ''] =
      /^HTTP\/1\.1 (\d{3}) [ -~]*\r\n((?:[A-Za-z-]+: [ -~]*\r\n)*)\r\n/.exec(rest) ?? [];
    assert.notEqual(all, '', `no answer of HTTP: ${JSON.stringify(rest.slice(0, 300))}`);
    const isStream = /^Content-Type: text\/event-stream/m.test(head);
    const length = Number(/^Content-Length: (\d+)\r$/m.exec(head)?.[1] ?? 0);
    const bodyless = methods[answers.length] === 'HEAD';
    const end = bodyless ? all.length : isStream ? rest.length : all.length + length;
    answers.push({ status: Number(status), head, body: rest.slice(all.length, end) });
    rest = rest.slice(end);
  }
  return answers;
}

/** Sends the text in parts and resolves with what came, when the server has closed, a stream of events has begun, or
 * nothing came for `quietMs`. */
export function exchange(to: NetConnectOpts, parts: readonly string[], quietMs?: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    let quiet: NodeJS.Timeout | undefined;
    const socket: Socket = connect(to);
    const done = (): void => {
      clearTimeout(quiet);
      socket.destroy();
      resolve(text);
    };
    const wait = (): void => {
      clearTimeout(quiet);
      if (quietMs !== undefined) quiet = setTimeout(done, quietMs);
    };
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (/event: hello\ndata: .*\n\n/.test(text)) done();
      else wait();
    });
    socket.on('close', done);
    // The server may close while a request is still on its way.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('connect', wait);
    const write = (index: number): void => {
      const part = parts[index];
      if (part !== undefined && socket.writable) socket.write(part, 'latin1', () => write(index + 1));
    };
    write(0);
  });
}
