import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ExecResult, exec } from '../../common/exec.ts';

/** What Debian calls a kind of machine. */
export type Architecture = 'amd64' | 'arm64';

export type Suite = 'bookworm' | 'trixie' | 'sid' | 'experimental';

/** apt for one suite, see {@link privateApt}. */
export interface Apt {
  /** Downloads `.deb` files into a folder. */
  download(packages: readonly string[], into: string): Promise<void>;
  /** The libraries packages need, and those they need. Names only, first alternative of each. */
  libraries(packages: readonly string[]): Promise<readonly string[]>;
}

/**
 * apt with lists, cache and status of its own: it sees one suite and believes that nothing is installed. No root needed.
 * `architecture` is that of this machine unless it is given.
 * @throws when this is not Debian, or its servers cannot be reached
 */
export async function privateApt(folder: string, suite: Suite, architecture?: Architecture): Promise<Apt> {
  await mkdir(join(folder, 'lists/partial'), { recursive: true });
  await mkdir(join(folder, 'archives/partial'), { recursive: true });
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  await access(keyring).catch((error) => {
    throw new Error(`this is not a Debian machine with apt: ${keyring} is missing`, { cause: error });
  });
  const mirror = 'http://deb.debian.org';
  const suites = [`${mirror}/debian ${suite}`];
  if (suite === 'bookworm' || suite === 'trixie') suites.push(`${mirror}/debian-security ${suite}-security`);
  if (suite === 'experimental') suites.push(`${mirror}/debian sid`);
  await writeFile(
    join(folder, 'sources.list'),
    suites.map((line) => `deb [signed-by=${keyring}] ${line} main\n`).join(''),
  );
  await writeFile(join(folder, 'status'), '');
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
        timeout: 300_000,
        maxOutput: 4 << 20,
        ...(cwd !== undefined && { cwd }),
      }),
      `${tool} ${args[0]}`,
    ).stdout;

  await run('apt-get', ['update', '-qq']);
  return {
    async download(packages, into) {
      await mkdir(into, { recursive: true });
      await run('apt-get', ['download', '-qq', ...packages], into);
    },
    async libraries(packages) {
      const found = new Set<string>();
      let next = [...packages];
      while (next.length > 0) {
        const output = await run('apt-cache', ['depends', '--important', ...next]);
        const names = [...output.matchAll(/^ *\|?(?:Pre)?Depends: ([a-z0-9.+-]+)$/gm)].map((match) => match[1] ?? '');
        next = [...new Set(names)].filter((dependency) => /^(lib|zlib)/.test(dependency) && !found.has(dependency));
        for (const dependency of next) found.add(dependency);
      }
      return [...found];
    },
  };
}

/** @throws with the end of what it printed, when a command failed */
export function must(result: ExecResult, what: string): ExecResult {
  if (result.code === 0) return result;
  throw new Error(`${what}: ${(result.stderr || result.stdout).trim().slice(-400) || `exit code ${result.code}`}`);
}
