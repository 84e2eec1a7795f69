import { access, mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ExecResult, exec } from '../../../common/daemon/exec.ts';
import { locked } from './lock.ts';

/** Debian's name of an architecture. */
export type Architecture = 'amd64' | 'arm64';

/** Debian's releases, by which versions of programs differ. */
export type Suite = 'bookworm' | 'trixie' | 'sid' | 'experimental';

/** apt for one suite; see {@link privateApt}. */
export interface Apt {
  /** Downloads `.deb` files into a folder. */
  download(packages: readonly string[], into: string): Promise<void>;
  /** The names of all libraries that packages depend on, also indirectly; the first alternative of each dependency. */
  libraries(packages: readonly string[]): Promise<readonly string[]>;
}

/** How long lists are used until they are fetched again. */
const freshForMs = 3_600_000;

/**
 * Sets up apt with lists, cache and status of its own below `cache`, shared by all callers with the same suite. This apt has only
 * the packages of the suite, and none are installed. It needs no root. `architecture` is this machine's by default.
 * @throws when this is not Debian, or its servers cannot be reached
 */
export async function privateApt(cache: string, suite: Suite, architecture?: Architecture): Promise<Apt> {
  const folder = join(cache, `apt-${suite}${architecture === undefined ? '' : `-${architecture}`}`);
  await mkdir(join(folder, 'lists/partial'), { recursive: true });
  await mkdir(join(folder, 'archives/partial'), { recursive: true });
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  await access(keyring).catch((error) => {
    throw new Error(`this is not a Debian machine with apt: ${keyring} does not exist`, { cause: error });
  });
  const mirror = 'http://deb.debian.org';
  const suites = [`${mirror}/debian ${suite}`];
  if (suite === 'bookworm' || suite === 'trixie') suites.push(`${mirror}/debian-security ${suite}-security`);
  if (suite === 'experimental') suites.push(`${mirror}/debian sid`);
  const settings = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': folder,
    'Dir::Cache::archives': join(folder, 'archives'),
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'APT::Sandbox::User': 'root',
    'Debug::NoLocking': 'true',
    ...(architecture !== undefined && { 'APT::Architecture': architecture, 'APT::Architectures': architecture }),
    ...(suite === 'experimental' && { 'APT::Default-Release': 'experimental' }),
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  const run = async (tool: 'apt-get' | 'apt-cache', args: readonly string[], cwd?: string): Promise<string> =>
    must(
      await exec([tool, ...options, ...args], {
        timeoutMs: 300_000,
        maxOutput: 4 << 20,
        ...(cwd !== undefined && { cwd }),
      }),
      `${tool} ${args[0]}`,
    ).stdout;

  await locked(join(folder, 'lock'), async () => {
    const updated = join(folder, 'updated');
    const { mtimeMs } = await stat(updated).catch(() => ({ mtimeMs: 0 }));
    if (Math.abs(Date.now() - mtimeMs) < freshForMs) return;
    const sources = suites.map((line) => `deb [signed-by=${keyring}] ${line} main\n`);
    await writeFile(join(folder, 'sources.list'), sources.join(''));
    await writeFile(join(folder, 'status'), '');
    await run('apt-get', ['update', '-qq']);
    await writeFile(updated, '');
  });
  return {
    async download(packages, into) {
      await mkdir(into, { recursive: true });
      await run('apt-get', ['download', '-qq', ...packages], into);
    },
    async libraries(packages) {
      // One call for all dependencies, because each call of apt takes a second.
      const known = readDepends(await run('apt-cache', ['depends', '--important', '--recurse', ...packages]));
      const found = new Set<string>();
      const open = [...packages];
      for (let name = open.pop(); name !== undefined; name = open.pop()) {
        for (const dependency of known.get(name) ?? []) {
          if (!/^(lib|zlib)/.test(dependency) || found.has(dependency)) continue;
          found.add(dependency);
          open.push(dependency);
        }
      }
      return [...found];
    },
  };
}

/** Parses the output of `apt-cache depends`: a package at the start of a line, and its dependencies on the lines below. */
function readDepends(output: string): ReadonlyMap<string, readonly string[]> {
  const known = new Map<string, string[]>();
  let names: string[] = [];
  for (const line of output.split('\n')) {
    const dependency = /^ *\|?(?:Pre)?Depends: ([a-z0-9.+-]+)$/.exec(line)?.[1];
    if (dependency !== undefined) names.push(dependency);
    if (!/^[a-z0-9]/.test(line)) continue;
    names = [];
    known.set(line, names);
  }
  return known;
}

/** The result of a command. @throws with the end of its output, when the command failed */
export function must(result: ExecResult, what: string): ExecResult {
  if (result.code === 0) return result;
  throw new Error(`${what}: ${(result.stderr || result.stdout).trim().slice(-400) || `exit code ${result.code}`}`);
}
