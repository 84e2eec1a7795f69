import { isAbsolute, join } from 'node:path';
import type { FileFacts, Files } from './host.ts';

/** A file or folder on the way to a path, and the folder that it is in. None of them is a symbolic link. */
export interface Step {
  readonly path: string;
  readonly facts: FileFacts;
  readonly folder: { readonly path: string; readonly facts: FileFacts };
}

/** Where a path leads. */
export interface Destination {
  /** The path without symbolic links. */
  readonly path: string;
  /** Undefined when no file is there; its folder is. */
  readonly facts: FileFacts | undefined;
  /** From the root to the last thing that is there. */
  readonly steps: readonly Step[];
}

/** Linux follows as many links. */
const maxLinks = 40;

/**
 * Follows a path and its symbolic links one by one. Refuses a link that another user may have planted, which the kernel does
 * only where `fs.protected_symlinks` is on.
 * @throws with ENOENT when a folder is missing, or saying what is wrong with a link
 */
export async function followPath(path: string, files: Files): Promise<Destination> {
  // Not `resolve`: it takes `link/..` for the folder of the link, and not for that of its target.
  const pending = partsOf(isAbsolute(path) ? path : `${process.cwd()}/${path}`);
  const root = { path: '/', facts: await files.linkFacts('/') };
  let folders = [root];
  let steps: Step[] = [];
  let links = 0;
  while (pending.length > 0) {
    const name = pending.shift() as string;
    if (name === '..') {
      steps.pop();
      if (folders.length > 1) folders.pop();
      continue;
    }
    const folder = folders.at(-1) ?? root;
    const next = join(folder.path, name);
    const facts = await factsIfThere(next, pending.length === 0, files);
    if (facts === undefined) return { path: next, facts, steps };
    if (facts.kind === 'link') {
      if (isOpenToAll(folder.facts) && !trustedUsers(root.facts).has(facts.uid)) {
        throw new Error(`${next} is a symbolic link of user ${facts.uid}, in a folder that all users can write to`);
      }
      links += 1;
      if (links > maxLinks) throw new Error(`${path} leads through more than ${maxLinks} symbolic links`);
      const target = await files.readLink(next);
      pending.unshift(...partsOf(target));
      if (isAbsolute(target)) {
        folders = [root];
        steps = [];
      }
      continue;
    }
    steps.push({ path: next, facts, folder });
    folders.push({ path: next, facts });
  }
  const last = folders.at(-1) ?? root;
  return { path: last.path, facts: last.facts, steps };
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/** Only the last part of a path may be missing. */
async function factsIfThere(path: string, isLast: boolean, files: Files): Promise<FileFacts | undefined> {
  try {
    return await files.linkFacts(path);
  } catch (error) {
    if (isLast && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether all users can write to a folder, as to `/tmp`. */
export function isOpenToAll({ mode }: FileFacts): boolean {
  return (mode & 0o002) !== 0;
}

/**
 * Users who may change anything that this process does: root and its own user. In a user namespace, root's files belong to
 * another number: that of the root folder.
 */
export function trustedUsers(root: Pick<FileFacts, 'uid'>): ReadonlySet<number> {
  return new Set([0, root.uid, process.geteuid?.() ?? 0]);
}
