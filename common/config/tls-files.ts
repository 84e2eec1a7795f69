import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { clock } from '../async/clock.ts';
import { reasonOf } from '../daemon/log.ts';
import type { Files } from '../host.ts';
import { formats, isObject } from './formats.ts';
import { joinPath, type Problem, unreadable } from './problem.ts';

/** The options that name the TLS files of one client: of an etcd section's `tls`, or of a check or a source. */
interface TlsFiles {
  /** Key of the section. */
  readonly path: string;
  readonly ca?: TlsFile | undefined;
  readonly cert?: TlsFile | undefined;
  readonly key?: TlsFile | undefined;
}

interface TlsFile {
  readonly path: string;
  readonly file: string;
}

/**
 * Checks all TLS files that a configuration names, for `check` commands: missing, not PEM, a key that is not that of the
 * certificate, expired or not valid yet. A running daemon does not insist on them: files may be delivered after its start, and
 * are read again when they change. `value`: the configuration as it was read. Never rejects.
 */
export async function tlsFileProblems(value: unknown, files: Pick<Files, 'read'>): Promise<readonly Problem[]> {
  const found: Problem[] = [];
  for (const group of tlsFilesIn(value, '')) found.push(...(await problemsOf(group, files)));
  return found;
}

/** The sections, at any depth, that name TLS files and use them. */
function* tlsFilesIn(value: unknown, path: string): Iterable<TlsFiles> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* tlsFilesIn(item, joinPath(path, index));
    return;
  }
  // The options of a user's module mean what that module says.
  if (!isObject(value) || value.type === 'module' || typeof value.module === 'string') return;
  const fileAt = (key: string): TlsFile | undefined => {
    const file = value[key];
    return typeof file === 'string' && file !== '' ? { path: joinPath(path, key), file } : undefined;
  };
  if (/(?:^|\.)tls$/.test(path)) yield { path, ca: fileAt('ca'), cert: fileAt('cert'), key: fileAt('key') };
  if (isTlsUsed(value)) yield { path, ca: fileAt('ssl_ca'), cert: fileAt('ssl_cert'), key: fileAt('ssl_key') };
  for (const [key, item] of Object.entries(value)) yield* tlsFilesIn(item, joinPath(path, key));
}

/** Checks with an option `ssl` read the files with `ssl: true` only; the check `tls` and the sources have no such option, or insist. */
export function isTlsUsed({ type, ssl }: Readonly<Record<string, unknown>>): boolean {
  return (
    typeof type !== 'string' || type === 'tls' || (ssl !== undefined && ssl !== null && formats.boolean(ssl) === true)
  );
}

async function problemsOf({ path, ca, cert, key }: TlsFiles, files: Pick<Files, 'read'>): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  const authorities = ca && (await certificatesIn(ca, files, problems));
  if (ca !== undefined && authorities !== undefined) problems.push(...authorityProblems(ca, authorities));
  const certificates = cert && (await certificatesIn(cert, files, problems));
  for (const certificate of certificates ?? []) problems.push(...timeProblems(cert, certificate));
  const secret = key && (await privateKeyIn(key, files, problems));
  const [own] = certificates ?? [];
  if (own !== undefined && secret !== undefined && !own.checkPrivateKey(secret)) {
    const message = `${key?.file} is not the key of ${cert?.file}: their public keys differ`;
    problems.push({ path: key?.path ?? path, message });
  }
  return problems;
}

async function textOf({ path, file }: TlsFile, files: Pick<Files, 'read'>, problems: Problem[]) {
  try {
    return await files.read(file);
  } catch (error) {
    problems.push({ path, message: `${file} ${unreadable(error as NodeJS.ErrnoException)}` });
    return undefined;
  }
}

/** OpenSSL skips certificates of a list that it cannot read, and then trusts no server. */
async function certificatesIn(
  at: TlsFile,
  files: Pick<Files, 'read'>,
  problems: Problem[],
): Promise<readonly X509Certificate[] | undefined> {
  const text = await textOf(at, files, problems);
  if (text === undefined) return undefined;
  const blocks = text.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END/g);
  if (blocks === null) {
    problems.push({ path: at.path, message: `${at.file} has no certificate in PEM form` });
    return undefined;
  }
  try {
    return blocks.map((block) => new X509Certificate(`${block} CERTIFICATE-----`));
  } catch (error) {
    problems.push({ path: at.path, message: `${at.file} has a certificate that cannot be read: ${reasonOf(error)}` });
    return undefined;
  }
}

async function privateKeyIn(
  at: TlsFile,
  files: Pick<Files, 'read'>,
  problems: Problem[],
): Promise<KeyObject | undefined> {
  const text = await textOf(at, files, problems);
  if (text === undefined) return undefined;
  try {
    return createPrivateKey(text);
  } catch (error) {
    const isEncrypted = /ENCRYPTED/.test(text);
    const why = isEncrypted
      ? 'is encrypted: only keys without a passphrase can be used'
      : 'has no private key in PEM form';
    problems.push({ path: at.path, message: `${at.file} ${why}${isEncrypted ? '' : ` (${reasonOf(error)})`}` });
    return undefined;
  }
}

/** Lists of authorities often have some that are out of date; that matters when no other is left. */
function authorityProblems(at: TlsFile, authorities: readonly X509Certificate[]): readonly Problem[] {
  const problems = authorities.map((one) => timeProblems(at, one));
  return problems.every((one) => one.length > 0) ? problems.flat().slice(0, 1) : [];
}

function timeProblems(at: TlsFile | undefined, { subject, validFrom, validTo }: X509Certificate): readonly Problem[] {
  const now = clock.wallTime();
  if (at === undefined) return [];
  const name = subject.split('\n').join(', ');
  if (Date.parse(validTo) < now) {
    return [{ path: at.path, message: `${at.file}: the certificate ${name} expired on ${validTo}` }];
  }
  if (Date.parse(validFrom) > now) {
    const message = `${at.file}: the certificate ${name} is not valid before ${validFrom}; is the clock of this host right?`;
    return [{ path: at.path, message }];
  }
  return [];
}
