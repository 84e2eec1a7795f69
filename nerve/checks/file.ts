import { stat } from 'node:fs/promises';
import { abortable } from '../../common/async/abort.ts';
import { clock } from '../../common/async/clock.ts';
import { textLike } from '../../common/config/json-values.ts';
import { failure } from '../../common/reason.ts';
import { formatAge, formatDuration } from '../../common/wording.ts';
import type { CheckPlugin } from '../check.ts';

/** The options of the check `file`. */
export interface FileCheckOptions {
  readonly path: string;
  readonly state: 'present' | 'absent';
  readonly max_age: number | null;
}

/** `file` */
export const check: CheckPlugin<FileCheckOptions> = {
  description: 'Passes while a file or folder exists, or while it does not: a flag of readiness or maintenance.',
  schema: {
    path: {
      doc: 'absolute path of the file',
      format: readPath,
      json: textLike('^/'),
      names: 'flag file',
      default: null,
    },
    state: { doc: 'whether it must exist', format: ['present', 'absent'], default: 'present' },
    max_age: {
      doc: 'longest time since the last write; by default any',
      format: 'optional-positive-duration',
      default: null,
    },
  },
  create({ path, state, max_age }) {
    if (state === 'absent' && max_age !== null) throw new Error('max_age needs state: present');
    let pending: Promise<number | null> | undefined;
    return async (signal) => {
      signal.throwIfAborted();
      // A stat call on a dead network file system cannot be cancelled and holds a thread: one call at a time.
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
        throw new Error(`${path} was last written ${formatAge(age)} ago, max_age is ${formatDuration(max_age)}`);
      }
    };
  },
};

/** The time of the last write, milliseconds since 1970; null when the file does not exist. */
async function modified(path: string): Promise<number | null> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    // Without the permission to look, the file counts neither as present nor as absent.
    throw failure(`cannot stat ${path}`, error);
  }
}

function readPath(value: unknown): void {
  if (typeof value !== 'string' || !value.startsWith('/') || value.includes('\0')) {
    throw new Error('must be an absolute path');
  }
}
