import { join } from 'node:path';
import { isObject } from '../../common/config/formats.ts';
import { readIfThere, writeFileAtomic } from '../../common/file.ts';
import type { MemberAddress } from './flags.ts';

/** What a cluster in the background was started with; kept in its folder. */
export interface ClusterRecord {
  /** Path of the etcd program. */
  readonly etcd: string;
  readonly token: string;
  readonly members: readonly MemberAddress[];
  /** The folder that `certificates` made, when it talks TLS. */
  readonly tls: string | null;
}

const fileName = 'cluster.json';

/** @returns undefined when there is no cluster in `folder` @throws naming the file, when it cannot be used */
export async function readRecord(folder: string): Promise<ClusterRecord | undefined> {
  const file = recordPath(folder);
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`${file} is damaged; remove the folder ${folder} by hand once no etcd uses it`, { cause: error });
  }
}

/** The file that marks a folder as a cluster's. */
export function recordPath(folder: string): string {
  return join(folder, fileName);
}

/** @throws when the folder cannot be written */
export async function writeRecord(folder: string, record: ClusterRecord): Promise<void> {
  await writeFileAtomic(recordPath(folder), `${JSON.stringify(record, null, 2)}\n`);
}

function parse(value: unknown): ClusterRecord {
  if (!isObject(value)) throw new Error('not an object');
  const { etcd, token, members, tls } = value;
  if (typeof etcd !== 'string' || typeof token !== 'string' || !(tls === null || typeof tls === 'string')) {
    throw new Error('etcd, token or tls is missing');
  }
  if (!Array.isArray(members) || !members.every(isMember)) throw new Error('members are not as they should be');
  return { etcd, token, members, tls };
}

function isMember(value: unknown): value is MemberAddress {
  if (!isObject(value)) return false;
  const { name, ...ports } = value;
  // A name is also a folder's: nothing that leads elsewhere.
  if (typeof name !== 'string' || !/^etcd\d$/.test(name)) return false;
  return ['client', 'peer', 'metrics'].every((key) => Number.isInteger(ports[key]));
}
