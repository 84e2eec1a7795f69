import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere, type WriteOptions, writeFileAtomic } from '../../common/file.ts';
import { type Authority, backdate, day } from './authority.ts';
import { holderFiles } from './layout.ts';
import { extensionsOf, type Leaf, whyRenew } from './leaf.ts';
import { createKey, sign } from './openssl.ts';

export interface Wanted {
  /** The folder of all holders' folders. */
  readonly out: string;
  readonly days: number;
  /** What is good for less than this is renewed, milliseconds. */
  readonly within: number;
  readonly newKeys: boolean;
  readonly authority: Authority;
  /** What everybody trusts, PEM. */
  readonly trusted: string;
}

/** Sees to it that a certificate is there and good. @returns a line about it */
export async function provide(leaf: Leaf, wanted: Wanted): Promise<readonly string[]> {
  const { out, days, within, newKeys, authority, trusted } = wanted;
  const files = holderFiles(out, leaf.holder, leaf.purpose);
  const folder = join(out, leaf.holder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Who was given the folder gets what is new in it, too.
  const owner = process.getuid?.() === 0 ? await stat(folder) : undefined;
  await replace(files.ca, trusted, { mode: 0o644, owner });
  const now = new Date();
  const [key, cert] = [await readIfThere(files.key), await readIfThere(files.cert)];
  const has = cert === undefined ? undefined : new X509Certificate(cert);
  const fits = has !== undefined && key !== undefined && has.checkPrivateKey(keyObject(key, files.key));
  const rules = { authority: authority.certificate, now, within };
  const why = newKeys ? 'new key' : fits ? whyRenew(leaf, has, rules) : cert === undefined ? 'new' : 'not of this key';
  const name = `${leaf.holder}/${leaf.purpose}.pem`;
  if (why === undefined) return [name, 'kept', `good until ${has?.validTo}`];
  // The key is kept: with one file to replace, no reader ever finds two that do not belong together.
  if (newKeys || key === undefined) await writeFileAtomic(files.key, createKey(), { mode: 0o600, owner });
  const until = Math.min(now.getTime() + days * day, Date.parse(authority.certificate.validTo));
  const text = {
    commonName: leaf.commonName,
    extensions: extensionsOf(leaf),
    from: new Date(now.getTime() - backdate),
    until: new Date(until),
  };
  const made = await sign(files.key, text, authority);
  await writeFileAtomic(files.cert, made, { mode: 0o644, owner });
  return [name, `made (${why})`, `good until ${new X509Certificate(made).validTo}`];
}

function keyObject(pem: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new Error(`${file}: cannot be read as a private key; remove it to have another one made`, { cause: error });
  }
}

/** Writes a file only when that changes it: who watches it has nothing to do then. */
async function replace(file: string, content: string, options: WriteOptions): Promise<void> {
  if ((await readIfThere(file)) !== content) await writeFileAtomic(file, content, options);
}
