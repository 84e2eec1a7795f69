/**
 * Compiles a pattern for keys: `*` matches any text without a slash, `**` any text, `?` one character except a slash; other
 * characters match themselves. The expression matches whole keys.
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
