import { join } from 'node:path';
import { isObject } from '../../common/config/formats.ts';
import { readIfThere, writeFileAtomic } from '../../common/file.ts';
import type { MemberAddress } from './flags.ts';

/** How a cluster in the background is started; kept in a file in its folder. */
export interface ClusterRecord {
  /** Path of the etcd program. */
  readonly etcd: string;
  readonly token: string;
  readonly members: readonly MemberAddress[];
  /** The folder with certificates from `etcd-cluster/certificates`; null without TLS. */
  readonly tls: string | null;
}

const fileName = 'cluster.json';

/** Reads the record. @returns undefined when there is no cluster in `folder` @throws naming the file, when it is damaged */
export async function readRecord(folder: string): Promise<ClusterRecord | undefined> {
  const file = recordPath(folder);
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`${file} is damaged; remove the folder ${folder} by hand when no etcd uses it`, { cause: error });
  }
}

/** The file that marks a folder as the folder of a cluster. */
export function recordPath(folder: string): string {
  return join(folder, fileName);
}

/** Writes the record. @throws when the folder cannot be written */
export async function writeRecord(folder: string, record: ClusterRecord): Promise<void> {
  await writeFileAtomic(recordPath(folder), `${JSON.stringify(record, null, 2)}\n`);
}

function parse(value: unknown): ClusterRecord {
  if (!isObject(value)) throw new Error('not an object');
  const { etcd, token, members, tls } = value;
  if (typeof etcd !== 'string' || typeof token !== 'string' || !(tls === null || typeof tls === 'string')) {
    throw new Error('etcd, token or tls is missing');
  }
  if (!Array.isArray(members) || !members.every(isMember)) throw new Error('members must be a list of names and ports');
  return { etcd, token, members, tls };
}

function isMember(value: unknown): value is MemberAddress {
  if (!isObject(value)) return false;
  const { name, ...ports } = value;
  // The name is also that of a folder: it must not lead elsewhere.
  if (typeof name !== 'string' || !/^etcd\d$/.test(name)) return false;
  return ['client', 'peer', 'metrics'].every((key) => Number.isInteger(ports[key]));
}
