import { onAbort } from '../../../common/async/abort.ts';
import { clock, type Timer } from '../../../common/async/clock.ts';
import { type ConnectOptions, RuntimeUnavailable } from './connection.ts';

/** 10,000 servers fill about 8 MiB. A longer reply is not believed, and must not fill the memory. */
const maxReplyLength = 256 * 1024 * 1024;

/**
 * Asks for text that others than HAProxy may have written, such as the results of checks in `show stat`: a server that is
 * checked chooses them. Uses a connection of its own, without prompts: the reply ends where HAProxy closes the connection, so
 * no text in it can look like the end of a reply or like the reply to another command. Several commands in `line` are
 * separated by semicolons, and their replies follow each other.
 * @throws {RuntimeUnavailable} when the socket cannot be reached, or is silent for too long
 */
export function readOnce(
  path: string,
  line: string,
  { connectUnix, replyTimeoutMs }: ConnectOptions,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new RuntimeUnavailable(path, new Error('aborted')));
      return;
    }
    const socket = connectUnix(path);
    const parts: string[] = [];
    let length = 0;
    let timer: Timer | undefined;
    const settle = (error?: Error): void => {
      clock.clearTimeout(timer);
      release();
      socket.destroy();
      if (error === undefined) resolve(parts.join(''));
      else reject(new RuntimeUnavailable(path, error));
    };
    const restart = (): void => {
      clock.clearTimeout(timer);
      timer = clock.setTimeout(() => settle(new Error(`no reply within ${replyTimeoutMs} ms`)), replyTimeoutMs);
    };
    const release = onAbort(signal, () => settle(new Error('aborted')));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      parts.push(chunk);
      length += chunk.length;
      if (length > maxReplyLength) settle(new Error('the reply is too long'));
      else restart();
    });
    socket.on('error', (error) => settle(error));
    socket.on('end', () => settle());
    // After `end` this does nothing. Without `end`, the reply may have been cut off.
    socket.on('close', () => settle(new Error('HAProxy closed the connection')));
    socket.write(`${line}\n`);
    restart();
  });
}
