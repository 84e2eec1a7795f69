import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ifThere, readIfThere, writeFileAtomic } from '../../common/file.ts';
import { createKey, type Signer, sign } from './openssl.ts';

/** The certificate authority of a cluster. */
export interface Authority extends Required<Signer> {
  readonly certificate: X509Certificate;
  /** The certificate as PEM. */
  readonly pem: string;
}

/** Certificates are valid from this long before they are made, because the clocks of hosts differ. */
export const backdateMs = 5 * 60_000;
/** One day in milliseconds. */
export const dayMs = 24 * 3600 * 1_000;

/**
 * Opens the authority in `folder`, or makes one when the folder has none; its key never leaves that folder.
 * @throws when other users may read the key, when one of the two files is missing, or when the authority has expired
 */
export async function openAuthority(folder: string, days: number): Promise<Authority> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [cert, key] = [join(folder, 'ca.pem'), join(folder, 'ca-key.pem')];
  const [pem, mode] = [await readIfThere(cert), (await ifThere(stat(key)))?.mode];
  if ((pem === undefined) !== (mode === undefined)) {
    throw new Error(`${folder}: has only one of ca.pem and ca-key.pem; restore the other file, or remove this one`);
  }
  if (pem === undefined || mode === undefined) {
    await chmod(folder, 0o700);
    await writeFileAtomic(key, createKey(), { mode: 0o600 });
    const now = Date.now();
    const text = {
      commonName: 'authority of etcd',
      extensions: ['basicConstraints = critical,CA:TRUE', 'keyUsage = critical,keyCertSign,cRLSign'],
      from: new Date(now - backdateMs),
      until: new Date(now + days * dayMs),
    };
    try {
      await writeFileAtomic(cert, await sign(key, text, { key }));
    } catch (error) {
      // OpenSSL may be missing, for example: the next run starts from the beginning.
      await rm(key);
      throw error;
    }
    return openAuthority(folder, days);
  }
  if ((mode & 0o077) !== 0) throw new Error(`${key}: other users may read it; run chmod 600 ${key}`);
  const certificate = new X509Certificate(pem);
  if (Date.parse(certificate.validTo) < Date.now()) {
    throw new Error(`${cert}: the authority expired on ${certificate.validTo}; make another one in a new folder`);
  }
  return { cert, key, pem, certificate };
}
