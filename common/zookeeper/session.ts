import { setMaxListeners } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onAbort } from '../async/abort.ts';
import { clock, type Timer } from '../async/clock.ts';
import { withTimeout } from '../async/timeout.ts';
import { sharedLookup } from '../net/lookup.ts';
import { startTls } from '../net/socket.ts';
import { type TlsClientOptions, tlsClient } from '../net/tls-client.ts';
import { quote } from '../wording.ts';
import { FrameReader, JuteReader, JuteWriter } from './jute.ts';

/** The server of a session, and its time limit. */
export interface SessionOptions {
  readonly host: string;
  readonly port: number;
  /** Session timeout to ask for; the server decides. A server that is silent for two thirds of it is given up. */
  readonly timeoutMs: number;
  readonly access?: ZookeeperAccess;
}

/** How the client knows that it talks to the right server, and the user with which it reads. */
export interface ZookeeperAccess {
  /** Undefined: no TLS. */
  readonly tls: TlsClientOptions | undefined;
  /** Undefined: nodes with access lists for others cannot be read. The password is read for each session: files change. */
  readonly user: { readonly name: string; readonly password: () => string } | undefined;
}

/**
 * A ZooKeeper session for reading, on one connection. It ends with the connection and is not resumed: it owns no nodes
 * that would have to survive, and a reader must read everything again after a break anyway.
 */
export interface ZookeeperSession {
  /** Names of the nodes below `path`, unordered; undefined when there is no such node. `onChange` is called at most once. */
  children(path: string, onChange?: () => void): Promise<readonly string[] | undefined>;
  /** The data of a node; undefined when there is no such node. */
  data(path: string, onChange?: () => void): Promise<Buffer | undefined>;
  /** Whether there is such a node. Here `onChange` is also called when the node is created. */
  exists(path: string, onChange?: () => void): Promise<boolean>;
  /** Aborts when the session is over, with the reason. */
  readonly ended: AbortSignal;
  /** When the server was last heard, in milliseconds of `clock.now()`. */
  readonly heardAt: number;
}

/** zookeeper.jute and ZooDefs.OpCode. */
const opcode = { exists: 3, getData: 4, getChildren: 8, ping: 11, auth: 100, closeSession: -11 } as const;
const xid = { notification: -1, ping: -2, auth: -4 } as const;
const noNode = -101;
/** KeeperException.Code. */
const errors: Readonly<Record<number, string>> = {
  [-4]: 'connection loss',
  [-8]: 'bad arguments',
  [-102]: 'not allowed: the node has an access list without the username and password in the configuration',
  [-112]: 'session expired',
  [-115]: 'the username and password were refused',
};

/** Watcher.Event.EventType. */
const deleted = 2;
const childrenChanged = 4;

/** A server limits a node to 1 MB by default; a list of many children may be larger. */
const maxFrameBytes = 64 << 20;

interface Pending {
  /** When the request was sent, in milliseconds of `clock.now()`. */
  readonly askedAt: number;
  /** Reads the body of the reply; undefined when there is no such node. @throws when the body is not one */
  readonly answer: (body: JuteReader | undefined) => void;
  readonly reject: (error: Error) => void;
}

/** What is asked about one node, and how the body of the reply is read. */
interface Request<Answer> {
  readonly type: (typeof opcode)[keyof typeof opcode];
  readonly path: string;
  readonly read: (body: JuteReader) => Answer;
}

/** Opens a session. @throws when the server cannot be reached or does not open it in time */
export async function openSession(options: SessionOptions, signal: AbortSignal): Promise<ZookeeperSession> {
  const { host, port, timeoutMs, access } = options;
  const what = `ZooKeeper at ${host}:${port}`;
  let socket: Socket | undefined;
  try {
    const open = async (deadline: AbortSignal) => {
      // Read for each session: a certificate that was renewed is taken at once.
      const names = access?.tls && (await tlsClient(access.tls, host));
      deadline.throwIfAborted();
      const plain = connect({ host, port, noDelay: true, lookup: sharedLookup });
      socket = plain;
      if (names !== undefined) socket = await startTls(plain, names, deadline);
      return handshake(socket, { timeoutMs, what, deadline, user: access?.user }, signal);
    };
    return await withTimeout(open, { timeoutMs, what }, signal);
  } catch (error) {
    socket?.destroy();
    signal.throwIfAborted();
    throw new Error(what, { cause: error });
  }
}

interface HandshakeOptions {
  readonly timeoutMs: number;
  /** The server, for messages. */
  readonly what: string;
  /** Aborts when the session must be open. */
  readonly deadline: AbortSignal;
  readonly user: ZookeeperAccess['user'];
}

function handshake(
  socket: Socket,
  { timeoutMs, what, deadline, user }: HandshakeOptions,
  signal: AbortSignal,
): Promise<ZookeeperSession> {
  return new Promise((resolve, reject) => {
    let session: Session | undefined;
    const fail = (error: Error): void => {
      socket.destroy();
      session?.end(new Error(what, { cause: error }));
      reject(error);
    };
    const frames = new FrameReader(maxFrameBytes, (frame) => {
      if (session !== undefined) return session.receive(frame);
      const reader = new JuteReader(frame);
      reader.int();
      const grantedMs = reader.int();
      if (grantedMs <= 0) throw new Error('the server refused the session');
      session = new Session(socket, grantedMs, fail);
      const release = onAbort(signal, () => session?.close());
      onAbort(session.ended, release);
      const opened = session;
      if (user === undefined) resolve(opened);
      else opened.authenticate(user).then(() => resolve(opened), fail);
    });
    // protocolVersion, lastZxidSeen, timeOut, sessionId, passwd; sent when the connection is open
    socket.write(new JuteWriter().int(0).long(0n).int(timeoutMs).long(0n).buffer(Buffer.alloc(16)).frame());
    socket.on('data', (chunk) => {
      try {
        frames.push(chunk);
      } catch (error) {
        fail(error as Error);
      }
    });
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the connection was closed')));
    onAbort(deadline, () => {
      if (session === undefined) socket.destroy();
    });
  });
}

class Session implements ZookeeperSession {
  readonly #socket: Socket;
  readonly #end = new AbortController();
  readonly #pending = new Map<number, Pending>();
  /** Callbacks by path, for nodes and for lists of children. A watch of ZooKeeper fires once. */
  readonly #watches = { node: new Map<string, Set<() => void>>(), children: new Map<string, Set<() => void>>() };
  readonly #heart: Timer;
  #lastXid = 0;
  heardAt = clock.now();

  constructor(socket: Socket, timeoutMs: number, fail: (error: Error) => void) {
    this.#socket = socket;
    // Each service that reads through this session listens for its end.
    setMaxListeners(0, this.#end.signal);
    this.#heart = clock.setInterval(() => {
      const now = clock.now();
      const silence = now - this.heardAt;
      // The server answers requests in order, so the first one is the oldest.
      const [oldest] = this.#pending.values();
      if (silence > (timeoutMs * 2) / 3) fail(new Error(`silent for ${Math.round(silence)} ms`));
      else if (oldest !== undefined && now - oldest.askedAt > timeoutMs) fail(new Error('it does not answer requests'));
      else socket.write(new JuteWriter().int(xid.ping).int(opcode.ping).frame());
    }, timeoutMs / 4);
  }

  get ended(): AbortSignal {
    return this.#end.signal;
  }

  children(path: string, onChange?: () => void): Promise<readonly string[] | undefined> {
    return this.#ask({ type: opcode.getChildren, path, read: readNames }, onChange);
  }

  data(path: string, onChange?: () => void): Promise<Buffer | undefined> {
    return this.#ask({ type: opcode.getData, path, read: (body) => body.buffer() }, onChange);
  }

  async exists(path: string, onChange?: () => void): Promise<boolean> {
    return (await this.#ask({ type: opcode.exists, path, read: () => true }, onChange)) ?? false;
  }

  /** Reads from now on as this user, too. @throws when the server refuses */
  async authenticate({ name, password }: NonNullable<ZookeeperAccess['user']>): Promise<void> {
    const identity = Buffer.from(`${name}:${password()}`);
    const reply = this.#reply(xid.auth, () => undefined);
    // AuthPacket: type, scheme, auth
    this.#socket.write(
      new JuteWriter().int(xid.auth).int(opcode.auth).int(0).string('digest').buffer(identity).frame(),
    );
    await reply;
  }

  /** Takes what the server sent. @throws when it is no message of ZooKeeper, or not the reply to the oldest request */
  receive(frame: Buffer): void {
    if (this.#end.signal.aborted) return;
    this.heardAt = clock.now();
    const reader = new JuteReader(frame);
    const id = reader.int();
    reader.long();
    const code = reader.int();
    if (id === xid.ping) return;
    if (id === xid.notification) {
      const type = reader.int();
      reader.int();
      const path = reader.string();
      if (type !== childrenChanged) fire(this.#watches.node, path);
      if (type === childrenChanged || type === deleted) fire(this.#watches.children, path);
      return;
    }
    // The server answers requests in order: another reply would be taken for that of another path.
    const [oldest] = this.#pending;
    if (oldest === undefined) throw new Error(`it answers request ${id}, but no request waits`);
    const [expected, pending] = oldest;
    if (id !== expected) throw new Error(`it answers request ${id}, but ${expected} is the next`);
    // A reply that cannot be read ends the session, which rejects the request.
    if (code === 0) pending.answer(reader);
    else if (code === noNode) pending.answer(undefined);
    else pending.reject(new Error(`ZooKeeper: ${errors[code] ?? `error ${code}`}`));
    this.#pending.delete(id);
  }

  end(reason: Error): void {
    if (this.#end.signal.aborted) return;
    clock.clearInterval(this.#heart);
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
    for (const watches of Object.values(this.#watches)) watches.clear();
    this.#end.abort(reason);
  }

  /** Closes the session cleanly, so that the server need not wait until it expires. */
  close(): void {
    this.#socket.end(
      new JuteWriter()
        .int(++this.#lastXid)
        .int(opcode.closeSession)
        .frame(),
    );
    this.#socket.setTimeout(1_000, () => this.#socket.destroy());
    this.end(new Error('closed'));
  }

  #ask<Answer>(request: Request<Answer>, onChange: (() => void) | undefined): Promise<Answer | undefined> {
    if (this.#end.signal.aborted) return Promise.reject(this.#end.signal.reason as Error);
    const { type, path, read } = request;
    const id = ++this.#lastXid;
    if (onChange !== undefined) {
      // Before the answer arrives: the notification may come in the same packet.
      const watches = this.#watches[type === opcode.getChildren ? 'children' : 'node'];
      watches.set(path, (watches.get(path) ?? new Set()).add(onChange));
    }
    const reply = this.#reply(id, read);
    this.#socket.write(
      new JuteWriter()
        .int(id)
        .int(type)
        .string(path)
        .bool(onChange !== undefined)
        .frame(),
    );
    return reply;
  }

  /** The reply to a request that is about to be sent; undefined when there is no such node. */
  #reply<Answer>(id: number, read: (body: JuteReader) => Answer): Promise<Answer | undefined> {
    return new Promise((resolve, reject) => {
      const answer = (body: JuteReader | undefined): void => resolve(body && read(body));
      this.#pending.set(id, { askedAt: clock.now(), answer, reject });
    });
  }
}

/** Reads the names of a node's children. A name that no node can have would be read as another path. */
function readNames(body: JuteReader): readonly string[] {
  const names = body.strings();
  const wrong = names.find((name) => name === '' || name.includes('/'));
  if (wrong !== undefined) throw new Error(`ZooKeeper sent ${quote(wrong)} as the name of a child`);
  return names;
}

function fire(watches: Map<string, Set<() => void>>, path: string): void {
  const callbacks = watches.get(path) ?? [];
  watches.delete(path);
  for (const callback of callbacks) callback();
}
