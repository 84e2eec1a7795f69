import { createHash } from 'node:crypto';
import { access, constants, mkdir, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exec } from '../../../common/daemon/exec.ts';
import { reasonOf } from '../../../common/daemon/log.ts';
import { thisHost } from '../../../common/host.ts';
import { whyChangeable } from '../../../common/trust.ts';
import type { Architecture, Suite } from './apt.ts';
import { bootstrapSystem } from './system.ts';
import { isUsable, type Unpacking, unpack } from './unpack.ts';

/** Programs that the demo and the tests run beside Node. */
export type ProgramName = 'etcd' | 'etcdctl' | 'etcdutl' | 'haproxy' | 'java' | 'promtool' | 'wrk';

interface Program {
  readonly package: string;
  readonly path: string;
  readonly versionArguments: readonly string[];
  /** The oldest version on the PATH that is used when the caller asks for none; default: any. */
  readonly oldest?: string;
  /** The Debian suites by the version they have; the first is used when the caller asks for none. */
  readonly suites: Readonly<Record<string, Suite>>;
}

const programs: Readonly<Record<ProgramName, Program>> = {
  etcd: {
    package: 'etcd-server',
    path: 'usr/bin/etcd',
    versionArguments: ['--version'],
    oldest: '3.4',
    suites: { '3.5': 'sid', '3.4': 'bookworm' },
  },
  etcdctl: {
    package: 'etcd-client',
    path: 'usr/bin/etcdctl',
    versionArguments: ['version'],
    oldest: '3.4',
    suites: { '3.5': 'sid', '3.4': 'bookworm' },
  },
  etcdutl: {
    package: 'etcd-server',
    path: 'usr/bin/etcdutl',
    versionArguments: ['version'],
    suites: { '3.5': 'sid' },
  },
  haproxy: {
    package: 'haproxy',
    path: 'usr/sbin/haproxy',
    versionArguments: ['-v'],
    oldest: '2.6',
    suites: { '2.6': 'bookworm', '3.0': 'trixie', '3.2': 'sid', '3.4': 'experimental' },
  },
  java: {
    package: 'openjdk-17-jre-headless',
    path: `usr/lib/jvm/java-17-openjdk-${process.arch === 'x64' ? 'amd64' : process.arch}/bin/java`,
    versionArguments: ['--version'],
    suites: { '17.0': 'bookworm' },
  },
  promtool: {
    package: 'prometheus',
    path: 'usr/bin/promtool',
    versionArguments: ['--version'],
    suites: { '2.42': 'bookworm' },
  },
  wrk: {
    package: 'wrk',
    path: 'usr/bin/wrk',
    versionArguments: ['-v'],
    suites: { '4.1': 'bookworm' },
  },
};

/** Which version of a program is looked for. */
export interface FindOptions {
  /** Major and minor version, such as `3.5`; default: any version on the PATH that SmartStack works with. */
  readonly version?: string;
}

/** The path of a program on the PATH, or in a folder for system programs; undefined when none has a version that fits. */
export async function findOnPath(name: ProgramName, { version }: FindOptions = {}): Promise<string | undefined> {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']) {
    const path = join(folder, name);
    if (await isRightVersion(path, programs[name], version)) return path;
  }
  return undefined;
}

/**
 * The path of a program: from the PATH when its version fits, else unpacked from Debian's packages into `.cache/` of the
 * checkout (or `$PROGRAMS_CACHE`) together with the libraries it needs, its loader path rewritten to them. Nothing is
 * installed or started system-wide, and no root is needed.
 * @throws with what to install by hand, when there is no apt or its servers cannot be reached
 */
export async function findProgram(name: ProgramName, { version }: FindOptions = {}): Promise<string> {
  const installed = await findOnPath(name, { ...(version !== undefined && { version }) });
  if (installed !== undefined) return installed;
  const program = programs[name];
  const wanted = version ?? Object.keys(program.suites)[0];
  const suite = wanted === undefined ? undefined : program.suites[wanted];
  if (suite === undefined) {
    throw new Error(
      `${name} ${version}: not on the PATH, and Debian has only ${Object.keys(program.suites).join(', ')}`,
    );
  }
  const cache = await cacheFolder();
  const folder = `${suite}-${program.package}`;
  const path = join(cache, folder, program.path);
  if (await isRightVersion(path, program, version)) return path;
  try {
    await unpack({ cache, name: folder, suite, packages: [program.package], runnable: true });
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
 * A folder with these packages of Debian bookworm, unpacked without their dependencies: for files that are not programs, such as
 * Java archives. `name` is the name of the folder in the cache.
 * @throws when there is no apt or its servers cannot be reached
 */
export function findPackages(name: string, packages: readonly string[]): Promise<string> {
  return cached({ name: `bookworm-${name}`, suite: 'bookworm', packages, runnable: false });
}

async function isRightVersion(path: string, program: Program, version: string | undefined): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    // The exit code is ignored, because wrk prints its version and exits with 1.
    const { stdout } = await exec([path, ...program.versionArguments], { timeoutMs: 10_000 });
    const found = /(?:version:?|wrk|openjdk) (?:v|debian\/)?(\d+\.\d+)\./i.exec(stdout)?.[1];
    if (found === undefined) return false;
    return version === undefined ? isAtLeast(found, program.oldest ?? '0.0') : found === version;
  } catch {
    return false;
  }
}

function isAtLeast(version: string, oldest: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldest.split('.').map(Number);
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}

/**
 * A folder with packages of Debian and their libraries, unpacked and made to run in that folder, or at `at` (for images), on this
 * architecture or another one: for servers that need more than one program. Cached like the programs of `findProgram`.
 * @throws when there is no apt or its servers cannot be reached
 */
export function unpackPackages(
  suite: Suite,
  packages: readonly [string, ...string[]],
  options: { readonly at?: string; readonly architecture?: Architecture } = {},
): Promise<string> {
  const { at, architecture } = options;
  const rest = architecture === undefined ? [at] : [at, architecture];
  const name = `${suite}-${packages[0]}-${digest([...packages, ...rest].join())}`;
  return cached({ name, suite, packages, runnable: true, ...options });
}

/**
 * A folder with a whole Debian, as {@link bootstrapSystem} makes it, with these packages. Callers must not change it.
 * @throws when this is not Debian, not root, or Debian's servers cannot be reached
 */
export async function findSystem(suite: Suite, packages: readonly string[]): Promise<string> {
  const name = `${suite}-system-${digest(packages.join())}`;
  return bootstrapSystem({ cache: await cacheFolder(), name, suite, packages });
}

async function cached(wanted: Omit<Unpacking, 'cache'>): Promise<string> {
  const cache = await cacheFolder();
  const root = join(cache, wanted.name);
  if (await isUsable(root, wanted.at)) return root;
  try {
    return await unpack({ cache, ...wanted });
  } catch (error) {
    throw new Error(`cannot unpack ${wanted.packages.join(', ')} from Debian's packages`, { cause: error });
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/**
 * The folder that programs are unpacked to and run from. The owner of the checkout may change it: whoever runs this code
 * trusts that user.
 * @throws when other users may change it too
 */
export async function cacheFolder(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const checkout = fileURLToPath(new URL('../../../..', import.meta.url));
  const folder = env.PROGRAMS_CACHE ?? join(checkout, '.cache/programs');
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const why = await whyChangeable(folder, (await stat(checkout)).uid, thisHost.files);
  if (why === null) return folder;
  throw new Error(
    `programs in ${folder} are not run, because other users can change them: ${why}; remove that folder, or set PROGRAMS_CACHE ` +
      'to a folder that only you can write to',
  );
}
