import { join } from 'node:path';
import type { MemberTls } from '../members/flags.ts';

/** The name that members show each other; no client has it. */
export const peerName = 'etcd-peer';

/** The files of one holder, in a folder that goes to its host as a whole. */
export interface HolderFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** What a certificate is for: also the name of its file. */
export type Purpose = 'server' | 'peer' | 'client';

/** Where the files of a member or a client are. */
export function holderFiles(folder: string, holder: string, purpose: Purpose): HolderFiles {
  const below = (file: string): string => join(folder, holder, file);
  return { cert: below(`${purpose}.pem`), key: below(`${purpose}-key.pem`), ca: below('ca.pem') };
}

/** What a member is started with. */
export function memberTls(folder: string, member: string): MemberTls {
  const peer = { ...holderFiles(folder, member, 'peer'), name: peerName };
  return { ...holderFiles(folder, member, 'server'), peer };
}
