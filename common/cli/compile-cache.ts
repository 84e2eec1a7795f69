import module from 'node:module';

/** What Node 22 and later have. */
interface CompileCache {
  readonly enableCompileCache?: (folder: string) => unknown;
}

/**
 * Lets Node keep compiled code in the cache folder that systemd has made for this daemon (`CacheDirectory=`), so that the next
 * start compiles less. Only there: who can write the cache decides what the daemon runs, and Node's own default is a folder
 * in /tmp. Does nothing with Node 20. Call it before anything large is loaded.
 */
export function keepCompiledCode(env: Readonly<Record<string, string | undefined>>): void {
  const folder = env.CACHE_DIRECTORY?.split(':')[0];
  if (folder) (module as CompileCache).enableCompileCache?.(folder);
}
