import { connect } from 'node:net';

/** Sends one command to HAProxy's runtime API on a connection of its own, as `socat` would. */
export function haproxyCommand(socketPath: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let reply = '';
    socket.setTimeout(5_000, () => socket.destroy(new Error(`no reply to ${command} within 5 s`)));
    socket.once('error', reject);
    socket.on('data', (chunk) => {
      reply += chunk.toString();
    });
    socket.once('end', () => resolve(reply));
    socket.write(`${command}\n`);
  });
}

/** The process id of the worker that answers: another one means that there was a reload. */
export async function workerPid(socketPath: string): Promise<number> {
  return Number(/^Pid: (\d+)$/m.exec(await haproxyCommand(socketPath, 'show info'))?.[1]);
}
