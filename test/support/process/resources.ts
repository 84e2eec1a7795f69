import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';

/** What this process has open, counted by kind: timers, sockets and other handles, files, children. */
export async function openResources(): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  const count = (kind: string, by = 1): void => void counts.set(kind, (counts.get(kind) ?? 0) + by);
  for (const kind of process.getActiveResourcesInfo()) count(kind);
  // Reads of files come and go, those of this function among them; they end by themselves.
  for (const kind of ['FSReqPromise', 'FSReqCallback', 'FileHandle', 'FileHandleCloseReq']) counts.delete(kind);
  count('file descriptor', (await readdir('/proc/self/fd')).length);
  const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8');
  count('child', children.split(' ').filter((pid) => pid.trim() !== '').length);
  return counts;
}

/** Nothing is open that was not before. */
export async function assertNothingMore(before: ReadonlyMap<string, number>): Promise<void> {
  const more = [...(await openResources())].filter(([kind, found]) => found > (before.get(kind) ?? 0));
  assert.deepEqual(more, [], `before: ${JSON.stringify([...before])}`);
}
