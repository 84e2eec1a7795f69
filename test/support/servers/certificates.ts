import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Paths of PEM files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Makes an authority of its own in `folder`. */
export async function makeAuthority(folder: string, name: string): Promise<Certificate> {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}-key.pem`)];
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-keyout', key, '-out', cert];
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', ...subject]);
  return { cert, key };
}

/** Makes a certificate for `names` (as in subjectAltName, `DNS:…` or `IP:…`), signed by `authority`. */
export async function makeCertificate(
  folder: string,
  name: string,
  options: { readonly authority: Certificate; readonly names: readonly string[] },
): Promise<Certificate> {
  const { authority, names } = options;
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}-key.pem`)];
  const [request, extensions] = [join(folder, `${name}.csr`), join(folder, `${name}.ext`)];
  await writeFile(extensions, `subjectAltName=${names.join(',')}\nextendedKeyUsage=serverAuth,clientAuth\n`);
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await run('openssl', ['req', '-new', ...curve, '-subj', `/CN=${name}`, '-keyout', key, '-out', request]);
  const signing = ['-CA', authority.cert, '-CAkey', authority.key, '-CAcreateserial', '-days', '2'];
  await run('openssl', ['x509', '-req', '-in', request, ...signing, '-extfile', extensions, '-out', cert]);
  return { cert, key };
}
