import type { Access, FileFacts, Files } from './host.ts';

/** What else {@link accessesLike} has to know. */
export interface AccessOptions {
  /** The number of this process's user. */
  readonly self: number;
  /** The owner of the old file is a member of the file's group, as HAProxy's user is in the images. */
  readonly isOwnerInGroup: boolean;
}

/** Whether `/etc/passwd` or `/etc/group` makes a user a member of a group. False when they cannot be read. */
export async function isMember(uid: number, gid: number, files: Files): Promise<boolean> {
  const read = async (path: string): Promise<readonly (readonly string[])[]> => {
    const text = await files.read(path).catch(() => '');
    return text.split('\n').map((line) => line.split(':'));
  };
  // passwd(5): name, password, UID, GID; group(5): name, password, GID, members
  const user = (await read('/etc/passwd')).find(([, , number]) => number === String(uid));
  if (user === undefined) return false;
  if (user[3] === String(gid)) return true;
  const group = (await read('/etc/group')).find(([, , number]) => number === String(gid));
  return (group?.[3] ?? '').split(',').includes(user[0] ?? '');
}

/**
 * What a new file may have of the owner, group and permissions of the one that it replaces, best first: an unprivileged
 * process cannot give a file to another user, or to a group that it is not in. A worse one is only in the list when all
 * readers of the old file can still read the new one. Pure.
 */
export function accessesLike(
  { mode, uid, gid }: FileFacts,
  { self, isOwnerInGroup }: AccessOptions,
): readonly Access[] {
  const permissions = mode & 0o777;
  const isReadableByAll = (mode & 0o004) !== 0;
  const isGroupEnough = isOwnerInGroup && (mode & 0o040) !== 0;
  // Root can read every file.
  const canLoseOwner = uid === self || uid === 0 || isReadableByAll || isGroupEnough;
  const canLoseGroup = isReadableByAll || (mode & 0o040) === 0;
  return [
    { mode: permissions, uid, gid },
    ...(canLoseOwner ? [{ mode: permissions, uid: undefined, gid }] : []),
    // Another group gets no more than all users have.
    ...(canLoseOwner && canLoseGroup
      ? [{ mode: permissions & (0o707 | ((mode & 0o007) << 3)), uid: undefined, gid: undefined }]
      : []),
  ];
}

/** Whether two files have the same owner, group and permissions. */
export function isSameAccess(a: FileFacts | undefined, b: FileFacts | undefined): boolean {
  return a?.mode === b?.mode && a?.uid === b?.uid && a?.gid === b?.gid;
}

/** Why none of {@link accessesLike} could be had, and what helps. */
export function lostReaders(path: string, { mode, uid, gid }: FileFacts): string {
  const self = process.geteuid?.() ?? 0;
  const octal = `0${(mode & 0o777).toString(8)}`;
  return (
    `user ${self} cannot give a new ${path} to user ${uid} and group ${gid}, and with mode ${octal} they could not read ` +
    `it otherwise: make user ${self} a member of group ${gid}, or let all users read the file`
  );
}
