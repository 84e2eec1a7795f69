import { stat } from 'node:fs/promises';
import { abortable } from '../../common/async/abort.ts';
import { clock } from '../../common/async/clock.ts';
import { failure } from '../../common/reason.ts';
import { formatDuration } from '../../common/wording.ts';
import type { CheckPlugin } from '../check.ts';

export interface FileCheckOptions {
  readonly path: string;
  readonly state: 'present' | 'absent';
  readonly max_age: number | null;
}

export const check: CheckPlugin<FileCheckOptions> = {
  description: 'Passes while a file or folder exists, or while there is none: flags of readiness or maintenance.',
  schema: {
    path: { doc: 'absolute path of the file', format: readPath, type: 'path', default: null },
    state: { doc: 'what it must be', format: ['present', 'absent'], default: 'present' },
    max_age: {
      doc: 'longest time since it was last written; by default any',
      format: 'optional-positive-duration',
      default: null,
    },
  },
  create({ path, state, max_age }) {
    if (state === 'absent' && max_age !== null) throw new Error('max_age needs state: present');
    let pending: Promise<number | null> | undefined;
    return async (signal) => {
      signal.throwIfAborted();
      // A look at a dead network file system cannot be called off, and each one holds a thread: never two at a time.
      pending ??= modified(path).finally(() => {
        pending = undefined;
      });
      const time = await abortable(pending, signal);
      if (state === 'absent') {
        if (time !== null) throw new Error(`${path} exists`);
        return;
      }
      if (time === null) throw new Error(`${path} does not exist`);
      const age = clock.wallTime() - time;
      if (max_age !== null && age > max_age) {
        throw new Error(
          `${path} was written ${Math.round(age / 1000)} s ago, at most ${formatDuration(max_age)} allowed`,
        );
      }
    };
  },
};

/** When the file was last written, milliseconds since 1970; null when there is none. */
async function modified(path: string): Promise<number | null> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    // Whoever may not look says so: to them the file is neither there nor absent.
    throw failure(`cannot look at ${path}`, error);
  }
}

function readPath(value: unknown): void {
  if (typeof value !== 'string' || !value.startsWith('/') || value.includes('\0')) {
    throw new Error('must be an absolute path');
  }
}
