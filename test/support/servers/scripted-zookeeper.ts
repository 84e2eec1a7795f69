import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { FrameReader, JuteWriter } from '../../../common/zookeeper/jute.ts';

/** What a request of the client is answered with; undefined: nothing. The first request opens the session. */
export type ZookeeperScript = (request: Buffer, index: number) => Buffer | 'end' | undefined;

/** A server that speaks ZooKeeper's framing and says what a test tells it to. */
export interface ScriptedZookeeper {
  readonly port: number;
  /** For connections from now on. */
  script: ZookeeperScript;
  close(): Promise<void>;
}

/** Starts one on a port of its own. Pings are not shown to the script and get no answer. */
export async function startScriptedZookeeper(): Promise<ScriptedZookeeper> {
  const server = createServer((socket) => {
    const { script } = self;
    let index = 0;
    const frames = new FrameReader(1 << 20, (request) => {
      if (index > 0 && request.readInt32BE(0) === -2) return;
      const answer = script(request, index++);
      if (answer === 'end') socket.end();
      else if (answer !== undefined && socket.writable) socket.write(answer);
    });
    socket.on('data', (chunk) => frames.push(chunk));
    // The client cuts the connection when it does not like what it gets.
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const self: ScriptedZookeeper = {
    port: (server.address() as AddressInfo).port,
    script: () => 'end',
    async close() {
      server.close();
      await once(server, 'close');
    },
  };
  return self;
}

/** The reply that opens a session with this timeout in milliseconds (ConnectResponse). */
export function openReply(timeoutMs: number): Buffer {
  return new JuteWriter().int(0).int(timeoutMs).long(1n).buffer(Buffer.alloc(16)).frame();
}

/** The head of a reply to a request, to which its body is added (ReplyHeader). */
export function replyHead(xid: number, error = 0): JuteWriter {
  return new JuteWriter().int(xid).long(1n).int(error);
}
