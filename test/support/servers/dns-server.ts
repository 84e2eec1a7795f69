import { createSocket } from 'node:dgram';
import { isIPv4 } from 'node:net';

/** What the server holds for one name and type; a number is the response code of a failure (2 SERVFAIL, 3 NXDOMAIN). */
export type DnsData = number | 'hang' | readonly DnsAnswer[] | LateDnsData;

/** Answers that are sent when `after` resolves. */
export interface LateDnsData {
  readonly after: Promise<unknown>;
  readonly answers: readonly DnsAnswer[];
}

/** The records of one name. */
export interface DnsAnswer {
  readonly ttl?: number;
  /** Owner of the record; default the name in the question. */
  readonly name?: string;
  /** The record is a CNAME to this name, whatever was asked for. */
  readonly cname?: string;
  /** For A and AAAA. */
  readonly address?: string;
  /** For SRV. */
  readonly target?: string;
  readonly port?: number;
  readonly priority?: number;
  readonly weight?: number;
}

/** A name server whose records a test sets. */
export interface DnsServer {
  /** `ADDRESS:PORT` */
  readonly address: string;
  /** By `name type`, such as `api.test A`. A name that has some type has an empty answer for others. */
  readonly zone: Map<string, DnsData>;
  /** `name type` of all questions so far. */
  readonly questions: readonly string[];
  close(): Promise<void>;
}

const types: Readonly<Record<number, string>> = { 1: 'A', 5: 'CNAME', 28: 'AAAA', 33: 'SRV' };

/** A small name server over UDP (RFC 1035, sections 3 and 4), on a free port or on `port`. */
export async function startDnsServer({ port = 0 }: { readonly port?: number } = {}): Promise<DnsServer> {
  const zone = new Map<string, DnsData>();
  const questions: string[] = [];
  let closed = false;
  const socket = createSocket('udp4');
  socket.on('message', (message, peer) => {
    const { name, end } = readName(message, 12);
    const type = types[message.readUInt16BE(end)] ?? '?';
    questions.push(`${name} ${type}`);
    const known = [...zone.keys()].some((key) => key.startsWith(`${name} `));
    const data = zone.get(`${name} ${type}`) ?? (known ? [] : 3);
    if (data === 'hang') return;
    if (typeof data === 'object' && 'after' in data) {
      void data.after.then(() => reply(data.answers));
      return;
    }
    reply(data);

    function reply(data: number | readonly DnsAnswer[]): void {
      const answers = typeof data === 'number' ? [] : data.map((answer) => record(type, answer));
      const header = Buffer.alloc(12);
      header.writeUInt16BE(message.readUInt16BE(0), 0);
      header.writeUInt16BE(0x8180 | (typeof data === 'number' ? data : 0), 2);
      header.writeUInt16BE(1, 4);
      header.writeUInt16BE(answers.length, 6);
      if (!closed)
        socket.send(Buffer.concat([header, message.subarray(12, end + 4), ...answers]), peer.port, peer.address);
    }
  });
  await new Promise<void>((resolve) => socket.bind(port, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    zone,
    questions,
    close() {
      closed = true;
      return new Promise((resolve) => socket.close(() => resolve()));
    },
  };
}

function record(type: string, answer: DnsAnswer): Buffer {
  const kind = answer.cname === undefined ? type : 'CNAME';
  const data =
    answer.cname !== undefined
      ? nameOf(answer.cname)
      : type === 'SRV'
        ? service(answer)
        : address(answer.address ?? '');
  // A pointer to the name in the question, or a name of its own.
  const owner = answer.name === undefined ? Buffer.from([0xc0, 0x0c]) : nameOf(answer.name);
  const head = Buffer.alloc(10);
  head.writeUInt16BE(Number(Object.keys(types).find((key) => types[Number(key)] === kind)), 0);
  head.writeUInt16BE(1, 2);
  head.writeUInt32BE(answer.ttl ?? 60, 4);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, head, data]);
}

function nameOf(text: string): Buffer {
  const labels = text.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ]);
}

function service({ priority = 0, weight = 0, port = 0, target = '' }: DnsAnswer): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(priority, 0);
  head.writeUInt16BE(weight, 2);
  head.writeUInt16BE(port, 4);
  return Buffer.concat([head, nameOf(target)]);
}

function address(text: string): Buffer {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  const [left = '', right = ''] = text.split('::');
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const gap = 8 - words(left).length - words(right).length;
  const all = [...words(left), ...Array<number>(gap).fill(0), ...words(right)];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 255]));
}

function readName(message: Buffer, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = start;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}
