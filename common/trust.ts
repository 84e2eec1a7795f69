import { ifThere } from './file.ts';
import type { Files } from './host.ts';
import { followPath, isOpenToAll, type Step, trustedUsers } from './walk.ts';

/**
 * Why another user may have put there what is at a path; null when only root, this process's user, or the owner of a folder
 * that root has made for it can have. Also null when nothing is there.
 *
 * For sockets and files that are found by their names: in a folder such as `/tmp`, every user can make any name first.
 * Its mode is not asked: root decides by it which groups may use a socket or a file.
 * @throws when a folder on the way cannot be read
 */
export async function whyUntrusted(path: string, files: Files): Promise<string | null> {
  const destination = await ifThere(followPath(path, files));
  if (destination?.facts === undefined) return null;
  const { steps } = destination;
  const trusted = trustedUsers(await files.linkFacts('/'));
  const isForeign = ({ facts, folder }: Step): boolean => isOpenToAll(folder.facts) && !trusted.has(facts.uid);
  const planted = steps.find(isForeign);
  if (planted !== undefined) {
    return `${planted.path} belongs to user ${planted.facts.uid}, in a folder that all users can write to`;
  }
  const last = steps.at(-1);
  if (last === undefined || trusted.has(last.facts.uid)) return null;
  if (last.facts.kind !== 'folder' && last.facts.uid === last.folder.facts.uid) return null;
  if (last.facts.kind === 'folder' && trusted.has(last.folder.facts.uid)) return null;
  return `${last.path} belongs to user ${last.facts.uid}, its folder to user ${last.folder.facts.uid}`;
}

/** A file or socket that another user may have put there. */
export class Untrusted extends Error {
  override readonly name = 'Untrusted';
}

/** @throws {Untrusted} saying why, and `fix`, when {@link whyUntrusted} has a reason */
export async function requireTrusted(path: string, fix: string, files: Files): Promise<void> {
  const why = await whyUntrusted(path, files);
  if (why !== null)
    throw new Untrusted(`${path} is not used, because another user may have put it there: ${why}; ${fix}`);
}

/**
 * Why others than this process's user can see or change what is in a folder of its own in a folder such as `/tmp`; null
 * when they cannot. @throws with ENOENT when there is no such folder
 */
export async function whyNotPrivate(folder: string, files: Files): Promise<string | null> {
  const { kind, uid, mode } = await files.linkFacts(folder);
  if (kind !== 'folder') return `${folder} is not a folder`;
  if (uid !== process.geteuid?.()) return `${folder} belongs to user ${uid}`;
  return (mode & 0o077) === 0 ? null : `${folder} has mode 0${(mode & 0o777).toString(8)}, and not 0700`;
}

/**
 * Why others than root, this process's user and `owner` can change what is in a folder, or put another one in its place;
 * null when they cannot. For folders with programs. Also null when the folder does not exist yet.
 */
export async function whyChangeable(folder: string, owner: number, files: Files): Promise<string | null> {
  const destination = await ifThere(followPath(folder, files));
  if (destination === undefined) return null;
  const trusted = new Set([...trustedUsers(await files.linkFacts('/')), owner]);
  for (const { path, facts } of destination.steps) {
    if (!trusted.has(facts.uid)) return `${path} belongs to user ${facts.uid}`;
    const isSticky = (facts.mode & 0o1000) !== 0 && path !== destination.path;
    if (isOpenToAll(facts) && !isSticky) return `all users can write to ${path}`;
  }
  return null;
}
