import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ifThere, readIfThere, writeFileAtomic } from '../../common/file.ts';
import { createKey, type Signer, sign } from './openssl.ts';

/** Who vouches for all certificates of a cluster. */
export interface Authority extends Required<Signer> {
  readonly certificate: X509Certificate;
  /** The same as PEM. */
  readonly pem: string;
}

/** A certificate is good from a little before it is made: clocks differ. Milliseconds. */
export const backdate = 5 * 60_000;
export const day = 24 * 3600 * 1_000;

/**
 * The authority in `folder`, made when there is none; its key never leaves that folder.
 * @throws when others may read the key, when only one of its files is there, or when it has expired
 */
export async function openAuthority(folder: string, days: number): Promise<Authority> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [cert, key] = [join(folder, 'ca.pem'), join(folder, 'ca-key.pem')];
  const [pem, mode] = [await readIfThere(cert), (await ifThere(stat(key)))?.mode];
  if ((pem === undefined) !== (mode === undefined)) {
    throw new Error(`${folder}: has only one of ca.pem and ca-key.pem; bring back the other, or remove it`);
  }
  if (pem === undefined || mode === undefined) {
    await chmod(folder, 0o700);
    await writeFileAtomic(key, createKey(), { mode: 0o600 });
    const now = Date.now();
    const text = {
      commonName: 'authority of etcd',
      extensions: ['basicConstraints = critical,CA:TRUE', 'keyUsage = critical,keyCertSign,cRLSign'],
      from: new Date(now - backdate),
      until: new Date(now + days * day),
    };
    try {
      await writeFileAtomic(cert, await sign(key, text, { key }));
    } catch (error) {
      // Without OpenSSL, for example: the next run begins anew.
      await rm(key);
      throw error;
    }
    return openAuthority(folder, days);
  }
  if ((mode & 0o077) !== 0) throw new Error(`${key}: others may read it; chmod 600 ${key}`);
  const certificate = new X509Certificate(pem);
  if (Date.parse(certificate.validTo) < Date.now()) {
    throw new Error(`${cert}: the authority has expired on ${certificate.validTo}; make another in a new folder`);
  }
  return { cert, key, pem, certificate };
}
