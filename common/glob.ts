/**
 * A pattern for keys: `*` is any text without a slash, `**` any text, `?` one character but a slash; the rest is taken
 * as it is. It must match the whole key.
 */
export function globPattern(glob: string): RegExp {
  const source = glob.replace(/\*\*|\*|\?|[^*?]+/g, (part) => {
    if (part === '**') return '.*';
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    return part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  });
  return new RegExp(`^${source}$`, 's');
}
