import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { FrameReader, JuteReader, JuteWriter } from '../../../common/zookeeper/jute.ts';

/** What nerve does in ZooKeeper: nodes that live as long as its session, or for ever. */
export interface ZookeeperWriter {
  /** Returns the path, with the sequence number if there is one. @throws ZooKeeper's error code */
  create(path: string, data: string, kind?: keyof typeof kinds, access?: readonly AccessEntry[]): Promise<string>;
  set(path: string, data: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** In order: nodes of this session go at once. */
  close(): Promise<void>;
  /** Without a word: the server waits until the session expires. */
  vanish(): void;
}

/** An entry of a node's access list. */
export interface AccessEntry {
  readonly permissions: number;
  readonly scheme: string;
  readonly id: string;
}

/** ZooDefs.Perms: all of them, and the right to make nodes below. */
export const permissions = { all: 31, create: 4 } as const;

const everybody: AccessEntry = { permissions: permissions.all, scheme: 'world', id: 'anyone' };

/** The entry of a user with a password, as ZooKeeper's `DigestAuthenticationProvider` computes it. */
export function digestEntry(name: string, password: string): AccessEntry {
  const hash = createHash('sha1').update(`${name}:${password}`).digest('base64');
  return { permissions: permissions.all, scheme: 'digest', id: `${name}:${hash}` };
}

const kinds = { persistent: 0, ephemeral: 1, persistentSequential: 2, ephemeralSequential: 3 } as const;

/** Opens a session with this timeout, and keeps it alive. */
export async function openZookeeperWriter(address: string, timeout = 10_000): Promise<ZookeeperWriter> {
  const [host = '', port = ''] = address.split(':');
  const socket = connect({ host, port: Number(port), noDelay: true });
  const waiting: { readonly resolve: (reader: JuteReader) => void; readonly reject: (error: Error) => void }[] = [];
  const frames = new FrameReader(1 << 20, (frame) => {
    // -2: the answer to a ping.
    if (frame.readInt32BE(0) !== -2 || waiting.length === 0) waiting.shift()?.resolve(new JuteReader(frame));
  });
  socket.on('data', (chunk) => frames.push(chunk));
  socket.on('error', () => {});
  socket.on('close', () => {
    for (const { reject } of waiting.splice(0)) reject(new Error('the connection to ZooKeeper was closed'));
  });
  await once(socket, 'connect');
  const reply = (bytes: Buffer): Promise<JuteReader> => {
    const answer = new Promise<JuteReader>((resolve, reject) => {
      if (socket.destroyed) reject(new Error('the connection to ZooKeeper is closed'));
      else waiting.push({ resolve, reject });
    });
    socket.write(bytes);
    return answer;
  };
  await reply(new JuteWriter().int(0).long(0n).int(timeout).long(0n).buffer(Buffer.alloc(16)).frame());
  const heart = setInterval(() => socket.write(new JuteWriter().int(-2).int(11).frame()), timeout / 4);
  let xid = 0;
  const ask = async (type: number, fill: (writer: JuteWriter) => JuteWriter): Promise<JuteReader> => {
    const reader = await reply(fill(new JuteWriter().int(++xid).int(type)).frame());
    reader.int();
    reader.long();
    const error = reader.int();
    if (error !== 0) throw new Error(`ZooKeeper: error ${error}`);
    return reader;
  };
  const end = (): void => {
    clearInterval(heart);
    socket.destroy();
  };
  return {
    async create(path, data, kind = 'persistent', access = [everybody]) {
      const fill = (writer: JuteWriter): JuteWriter => {
        writer.string(path).string(data).int(access.length);
        for (const entry of access) writer.int(entry.permissions).string(entry.scheme).string(entry.id);
        return writer.int(kinds[kind]);
      };
      return (await ask(1, fill)).string();
    },
    async set(path, data) {
      await ask(5, (writer) => writer.string(path).string(data).int(-1));
    },
    async remove(path) {
      await ask(2, (writer) => writer.string(path).int(-1));
    },
    async close() {
      await ask(-11, (writer) => writer);
      end();
    },
    vanish: end,
  };
}

/** The record of the instance `name` at port 80 of the host `NAME.test`, as nerve writes it. */
export function recordOf(name: string, more: object = {}): string {
  return JSON.stringify({ host: `${name}.test`, port: 80, name, ...more });
}
