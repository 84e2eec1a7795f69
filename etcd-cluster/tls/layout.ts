import { join } from 'node:path';
import type { MemberTls } from '../members/flags.ts';

/** The common name of the certificates that members show each other; no client has it. */
export const peerName = 'etcd-peer';

/** The files of one holder (a member or a client), in a folder that is copied to its host as a whole. */
export interface HolderFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** The purpose of a certificate, which is also the name of its file. */
export type Purpose = 'server' | 'peer' | 'client';

/** The paths of the files of a member or a client. */
export function holderFiles(folder: string, holder: string, purpose: Purpose): HolderFiles {
  const below = (file: string): string => join(folder, holder, file);
  return { cert: below(`${purpose}.pem`), key: below(`${purpose}-key.pem`), ca: below('ca.pem') };
}

/** The certificates that a member is started with. */
export function memberTls(folder: string, member: string): MemberTls {
  const peer = { ...holderFiles(folder, member, 'peer'), name: peerName };
  return { ...holderFiles(folder, member, 'server'), peer };
}
