import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere, type WriteOptions, writeFileAtomic } from '../../common/file.ts';
import { type Authority, backdateMs, dayMs } from './authority.ts';
import { holderFiles } from './layout.ts';
import { extensionsOf, type Leaf, renewalReason } from './leaf.ts';
import { createKey, sign } from './openssl.ts';

/** How certificates are made and renewed. */
export interface IssueOptions {
  /** The folder for the folders of all members and clients. */
  readonly out: string;
  readonly days: number;
  /** A certificate that expires within this time is renewed. */
  readonly withinMs: number;
  /** Makes new private keys, too. */
  readonly newKeys: boolean;
  readonly authority: Authority;
  /** The authorities that all members and clients trust, PEM. */
  readonly trusted: string;
}

/** Makes a certificate, or renews it when that is needed. @returns a row: its name, what was done, how long it is valid */
export async function issue(leaf: Leaf, options: IssueOptions): Promise<readonly string[]> {
  const { out, days, withinMs, newKeys, authority, trusted } = options;
  const files = holderFiles(out, leaf.holder, leaf.purpose);
  const folder = join(out, leaf.holder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // The owner of the folder also owns new files in it.
  const owner = process.getuid?.() === 0 ? await stat(folder) : undefined;
  await replace(files.ca, trusted, { mode: 0o644, owner });
  const now = new Date();
  const [key, cert] = [await readIfThere(files.key), await readIfThere(files.cert)];
  const has = cert === undefined ? undefined : new X509Certificate(cert);
  const fits = has !== undefined && key !== undefined && has.checkPrivateKey(keyObject(key, files.key));
  const rules = { authority: authority.certificate, now, withinMs };
  const reason = newKeys
    ? 'new key'
    : fits
      ? renewalReason(leaf, has, rules)
      : cert === undefined
        ? 'new'
        : 'did not match its key';
  const name = `${leaf.holder}/${leaf.purpose}.pem`;
  if (reason === undefined) return [name, 'kept', `valid until ${has?.validTo}`];
  // The key stays: with only one file to replace, no reader finds a key and a certificate that do not match.
  if (newKeys || key === undefined) await writeFileAtomic(files.key, createKey(), { mode: 0o600, owner });
  const until = Math.min(now.getTime() + days * dayMs, Date.parse(authority.certificate.validTo));
  const text = {
    commonName: leaf.commonName,
    extensions: extensionsOf(leaf),
    from: new Date(now.getTime() - backdateMs),
    until: new Date(until),
  };
  const made = await sign(files.key, text, authority);
  await writeFileAtomic(files.cert, made, { mode: 0o644, owner });
  return [name, `made (${reason})`, `valid until ${new X509Certificate(made).validTo}`];
}

function keyObject(pem: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new Error(`${file}: is not a private key; remove it, and the next run makes another one`, { cause: error });
  }
}

/** Writes a file only when that changes it, so that programs that watch it have nothing to do otherwise. */
async function replace(file: string, content: string, options: WriteOptions): Promise<void> {
  if ((await readIfThere(file)) !== content) await writeFileAtomic(file, content, options);
}
