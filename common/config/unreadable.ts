/** Why a file or folder cannot be read, to follow its name. */
export function unreadable(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'does not exist';
  if (error.code === 'EACCES') return 'may not be read (permission denied)';
  if (error.code === 'EISDIR') return 'is a folder, not a file';
  if (error.code === 'ENOTDIR') return 'is not a folder';
  return `cannot be read: ${error.message}`;
}
