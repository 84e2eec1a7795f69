import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { tempFolder } from '../temp-folder.ts';

/** A runtime API without a HAProxy behind it. */
export interface FakeRuntime {
  readonly path: string;
  /** All lines that were received, in order. */
  readonly lines: readonly string[];
}

/** What a {@link FakeRuntime} does. */
export interface FakeRuntimeOptions {
  /** The reply to a line with the prompt that ends it; undefined for no reply. */
  readonly answer: (line: string) => string | undefined;
  /** Replies are sent in pieces of this many characters; whole by default. */
  readonly pieceSize?: number;
  /** Ends a connection after its first reply, as HAProxy does without prompts. */
  readonly closes?: boolean;
}

/** Listens until the test ends. */
export async function fakeRuntime(
  t: TestContext,
  { answer, pieceSize = Number.POSITIVE_INFINITY, closes = false }: FakeRuntimeOptions,
): Promise<FakeRuntime> {
  const path = join(await tempFolder(t), 'admin.sock');
  const received: string[] = [];
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    let rest = '';
    clients.add(socket);
    socket.setEncoding('utf8');
    socket.on('error', () => {});
    socket.on('close', () => clients.delete(socket));
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        received.push(line);
        const reply = answer(line) ?? '';
        if (closes && reply !== '') {
          socket.end(reply);
          return;
        }
        const size = Math.min(pieceSize, reply.length);
        for (let at = 0; at < reply.length; at += size) socket.write(reply.slice(at, at + size));
      }
    });
  });
  t.after(() => {
    server.close();
    for (const client of clients) client.destroy();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { path, lines: received };
}

/** The reply that ends every greeting; undefined for other lines. */
export function greeting(line: string): string | undefined {
  return line === 'prompt' || line.startsWith('set timeout') ? '\n> ' : undefined;
}

/** What a {@link fakeWorker} says about itself. */
export interface FakeWorker {
  readonly pid: number;
  /** Seconds since 1970. */
  readonly startedAt: number;
  readonly generation: string;
  /** Lines of `show servers state` below the titles. */
  readonly servers?: readonly string[];
  readonly version?: string;
}

const titles =
  '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port';

/** The answers of a worker that takes every other command without a word. */
export function fakeWorker({ pid, startedAt, generation, servers = [], version = '3.2.0' }: FakeWorker) {
  return (line: string): string => {
    const uptime = Math.floor(Date.now() / 1000) - startedAt;
    const info = `Version: ${version}\nPid: ${pid}\nUptime_sec: ${uptime}\nStart_time_sec: ${startedAt}\nStopping: 0\n`;
    if (line === 'show info') return `${info}\n> `;
    if (line.startsWith('show env')) return `SYNAPSE_GEN=${generation}\n\n> `;
    if (line.startsWith('show servers state')) return `${['1', titles, ...servers].join('\n')}\n\n> `;
    return '\n> ';
  };
}
