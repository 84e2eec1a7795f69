import { createHash } from 'node:crypto';
import { access, constants, mkdir, open, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ExecResult, exec } from '../common/exec.ts';
import { reasonOf } from '../common/log.ts';

/** Programs that the demo and the tests run beside Node. */
export type ProgramName = 'etcd' | 'etcdctl' | 'haproxy' | 'java' | 'wrk';

interface Program {
  readonly package: string;
  readonly path: string;
  readonly versionArguments: readonly string[];
  /** Which Debian suite carries which version; the first is taken when the caller does not care. */
  readonly suites: Readonly<Record<string, Suite>>;
}

type Suite = 'bookworm' | 'trixie' | 'sid' | 'experimental';

const programs: Readonly<Record<ProgramName, Program>> = {
  etcd: {
    package: 'etcd-server',
    path: 'usr/bin/etcd',
    versionArguments: ['--version'],
    suites: { '3.5': 'sid', '3.4': 'bookworm' },
  },
  etcdctl: {
    package: 'etcd-client',
    path: 'usr/bin/etcdctl',
    versionArguments: ['version'],
    suites: { '3.5': 'sid', '3.4': 'bookworm' },
  },
  haproxy: {
    package: 'haproxy',
    path: 'usr/sbin/haproxy',
    versionArguments: ['-v'],
    suites: { '2.6': 'bookworm', '3.0': 'trixie', '3.2': 'sid', '3.4': 'experimental' },
  },
  java: {
    package: 'openjdk-17-jre-headless',
    path: `usr/lib/jvm/java-17-openjdk-${process.arch === 'x64' ? 'amd64' : process.arch}/bin/java`,
    versionArguments: ['--version'],
    suites: { '17.0': 'bookworm' },
  },
  wrk: {
    package: 'wrk',
    path: 'usr/bin/wrk',
    versionArguments: ['-v'],
    suites: { '4.1': 'bookworm' },
  },
};

export interface FindOptions {
  /** Major and minor version, such as `3.5`; without it any version on the PATH will do. */
  readonly version?: string;
}

/**
 * The path of a program: from the PATH when it has the wanted version, else unpacked from Debian's packages into
 * `.cache/` of the checkout (or `$PROGRAMS_CACHE`) together with the libraries it needs, its loader path rewritten to
 * them. Nothing is installed or started system-wide and no root is needed.
 * @throws with what to install by hand, when there is no apt or its servers cannot be reached
 */
export async function findProgram(name: ProgramName, { version }: FindOptions = {}): Promise<string> {
  const program = programs[name];
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']) {
    const path = join(folder, name);
    if (await isRightVersion(path, program, version)) return path;
  }
  const wanted = version ?? Object.keys(program.suites)[0];
  const suite = wanted === undefined ? undefined : program.suites[wanted];
  if (suite === undefined) {
    throw new Error(
      `${name} ${version}: not on the PATH, and Debian has only ${Object.keys(program.suites).join(', ')}`,
    );
  }
  const cache = cacheFolder();
  const root = join(cache, `${suite}-${program.package}`);
  const path = join(root, program.path);
  if (await isRightVersion(path, program, version)) return path;
  process.stderr.write(`fetching ${name} from Debian ${suite} into ${cache} …\n`);
  try {
    await rm(root, { recursive: true, force: true }); // what is there does not run
    await unpack({ cache, root, suite, packages: [program.package] });
  } catch (error) {
    throw new Error(
      `${name}${version === undefined ? '' : ` ${version}`} is not on the PATH and could not be unpacked from Debian's ` +
        `packages (${reasonOf(error)}). Install it by hand, for example: apt-get install ${program.package}`,
      { cause: error },
    );
  }
  if (await isRightVersion(path, program, version)) return path;
  throw new Error(`${path}: unpacked from Debian ${suite}, but it does not run here as version ${wanted}`);
}

/**
 * A folder with these packages of Debian bookworm unpacked, and nothing that they depend on: for what is no program,
 * such as Java archives. `name` is that of the folder in the cache.
 * @throws when there is no apt or its servers cannot be reached
 */
export async function findPackages(name: string, packages: readonly string[]): Promise<string> {
  const cache = cacheFolder();
  const root = join(cache, `bookworm-${name}`);
  if (
    await access(root).then(
      () => true,
      () => false,
    )
  )
    return root;
  process.stderr.write(`fetching ${packages.join(', ')} from Debian bookworm into ${cache} …\n`);
  const work = `${root}.${process.pid}`;
  try {
    const apt = await privateApt(join(work, 'apt'), 'bookworm');
    await apt.get(['update', '-qq']);
    await apt.download(packages, join(work, 'debs'));
    await unpackDebs(join(work, 'debs'), join(work, 'tree'));
    await moveInto(join(work, 'tree'), root);
  } catch (error) {
    throw new Error(`${packages.join(' ')}: could not be unpacked from Debian's packages`, { cause: error });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return root;
}

async function isRightVersion(path: string, program: Program, version: string | undefined): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    // The exit code says nothing: wrk prints its version and exits with 1.
    const { stdout } = await exec([path, ...program.versionArguments], { timeout: 10_000 });
    const found = /(?:version:?|wrk|openjdk) (?:v|debian\/)?(\d+\.\d+)\./i.exec(stdout)?.[1];
    return found !== undefined && (version === undefined || version === found);
  } catch {
    return false;
  }
}

/**
 * A folder with packages of Debian and the libraries they need, unpacked and made to run where they lie: for servers
 * that are more than one program. Cached like the programs of `findProgram`.
 * @throws when there is no apt or its servers cannot be reached
 */
export async function unpackPackages(suite: Suite, packages: readonly [string, ...string[]]): Promise<string> {
  const cache = cacheFolder();
  const rest = createHash('sha256').update(packages.join()).digest('hex').slice(0, 8);
  const root = join(cache, `${suite}-${packages[0]}-${rest}`);
  const there = await access(root).then(
    () => true,
    () => false,
  );
  if (there) return root;
  process.stderr.write(`fetching ${packages.join(', ')} from Debian ${suite} into ${cache} …\n`);
  try {
    await unpack({ cache, root, suite, packages });
  } catch (error) {
    throw new Error(`cannot unpack ${packages.join(', ')} from Debian's packages`, { cause: error });
  }
  return root;
}

function cacheFolder(): string {
  return process.env.PROGRAMS_CACHE ?? fileURLToPath(new URL('../../.cache/programs', import.meta.url));
}

interface Unpacking {
  readonly cache: string;
  readonly root: string;
  readonly suite: Suite;
  readonly packages: readonly string[];
}

/** Prepares everything in a folder of its own and renames it into place, so that two at once do not disturb each other. */
async function unpack({ cache, root, suite, packages }: Unpacking): Promise<void> {
  const work = `${root}.${process.pid}`;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  try {
    const apt = await privateApt(join(work, 'apt'), suite);
    await apt.get(['update', '-qq']);
    await apt.download([...packages, ...(await apt.libraries(packages))], join(work, 'debs'));
    const tree = join(work, 'tree');
    await unpackDebs(join(work, 'debs'), tree);
    await relink({ tree, root, patchelf: await findPatchelf(cache) });
    await moveInto(tree, root);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Makes the programs load the libraries unpacked beside them, wherever the machine's own are older or missing. */
async function relink(options: { tree: string; root: string; patchelf: string }): Promise<void> {
  const { tree, root, patchelf } = options;
  const files = (await readdir(tree, { recursive: true, withFileTypes: true })).filter((entry) => !entry.isDirectory());
  const inRoot = (entry: { parentPath: string; name: string }) =>
    join(root, join(entry.parentPath, entry.name).slice(tree.length));
  const loader = files.find((entry) => /^ld-linux.*\.so\.\d$/.test(entry.name));
  if (loader === undefined) throw new Error('libc6 has no dynamic loader where one was expected');
  const folders = new Set(
    files.filter((entry) => /\.so(\.|$)/.test(entry.name)).map((entry) => join(inRoot(entry), '..')),
  );
  for (const entry of files) {
    const file = join(entry.parentPath, entry.name);
    if (!entry.isFile() || entry === loader || !(await hasInterpreter(file, patchelf))) continue;
    const patched = await exec(
      [patchelf, '--set-interpreter', inRoot(loader), '--force-rpath', '--set-rpath', [...folders].join(':'), file],
      { timeout: 60_000 },
    );
    if (patched.code !== 0) throw new Error(`patchelf: ${patched.stderr.trim()}`);
  }
}

/** True for programs that the dynamic loader starts; not for libraries, scripts and static programs. */
async function hasInterpreter(file: string, patchelf: string): Promise<boolean> {
  if (/\.so(\.|$)/.test(file)) return false;
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    if (buffer.toString('latin1') !== '\x7fELF') return false;
  } finally {
    await handle.close();
  }
  return (await exec([patchelf, '--print-interpreter', file], { timeout: 60_000 })).code === 0;
}

/** patchelf from the PATH or from the oldest suite: a newer one would itself need newer libraries. */
async function findPatchelf(cache: string): Promise<string> {
  const { code, stdout } = await exec(['/bin/sh', '-c', 'command -v patchelf'], { timeout: 5_000 });
  if (code === 0) return stdout.trim();
  const root = join(cache, 'bookworm-patchelf');
  const path = join(root, 'usr/bin/patchelf');
  if ((await exec([path, '--version'], { timeout: 5_000 }).catch(() => null))?.code === 0) return path;
  const work = `${root}.${process.pid}`;
  try {
    await rm(root, { recursive: true, force: true }); // what is there does not run
    const apt = await privateApt(join(work, 'apt'), 'bookworm');
    await apt.get(['update', '-qq']);
    await apt.download(['patchelf'], join(work, 'debs'));
    await unpackDebs(join(work, 'debs'), join(work, 'tree'));
    await moveInto(join(work, 'tree'), root);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return path;
}

/** Another process may have been faster, and use its result by now. */
async function moveInto(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
}

async function unpackDebs(debs: string, tree: string): Promise<void> {
  await mkdir(tree, { recursive: true });
  for (const deb of await readdir(debs)) {
    if (deb.endsWith('.deb'))
      must(await exec(['dpkg', '-x', join(debs, deb), tree], { timeout: 120_000 }), `dpkg -x ${deb}`);
  }
  // Java looks for its settings through links such as /etc/java-17-openjdk: they have to stay within the tree.
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const link = join(entry.parentPath, entry.name);
    const target = await readlink(link);
    if (!target.startsWith('/')) continue;
    await rm(link);
    await symlink(relative(dirname(link), join(tree, target)), link);
  }
}

/** apt with lists, cache and status of its own: it sees one suite and believes that nothing is installed. */
async function privateApt(folder: string, suite: Suite) {
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

  return {
    get: (args: readonly string[]) => run('apt-get', args),
    async download(packages: readonly string[], into: string): Promise<void> {
      await mkdir(into, { recursive: true });
      await run('apt-get', ['download', '-qq', ...packages], into);
    },
    /** The libraries packages need, and those they need. Names only, first alternative of each. */
    async libraries(packages: readonly string[]): Promise<readonly string[]> {
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

function must(result: ExecResult, what: string): ExecResult {
  if (result.code === 0) return result;
  throw new Error(`${what}: ${(result.stderr || result.stdout).trim().slice(-400) || `exit code ${result.code}`}`);
}
