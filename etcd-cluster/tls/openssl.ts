import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exec } from '../../common/daemon/exec.ts';

/** The content of a certificate. */
export interface CertificateText {
  /** Null for none: etcd takes a client's common name as the name of its user. */
  readonly commonName: string | null;
  /** The lines of OpenSSL's extension section. */
  readonly extensions: readonly string[];
  readonly from: Date;
  readonly until: Date;
}

/** The key that signs, and the certificate of its authority: paths of PEM files. */
export interface Signer {
  readonly key: string;
  /** Absent for a self-signed certificate. */
  readonly cert?: string;
}

/** Makes a private key for signatures on P-256. @returns PEM */
export function createKey(): string {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return privateKey;
}

/**
 * Makes a certificate for the key in the file `key`.
 * @returns PEM
 * @throws with OpenSSL's message
 */
export async function sign(key: string, text: CertificateText, signer: Signer): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'smartstack-sign-'));
  try {
    const config = join(folder, 'config');
    const request = join(folder, 'request');
    await writeFile(join(folder, 'index'), '');
    await writeFile(config, configuration(folder, text));
    const subject = `/O=etcd${text.commonName === null ? '' : `/CN=${text.commonName}`}`;
    await openssl(['req', '-new', '-config', config, '-key', key, '-subj', subject, '-out', request]);
    const by = signer.cert === undefined ? ['-selfsign'] : ['-cert', signer.cert];
    const dates = ['-startdate', stamp(text.from), '-enddate', stamp(text.until)];
    return await openssl([
      ...['ca', '-batch', '-notext', '-config', config, '-keyfile', signer.key, ...by, ...dates],
      ...['-in', request],
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** For OpenSSL's `ca`, the only command that takes dates in all versions. It needs files for its database. */
function configuration(folder: string, { extensions }: CertificateText): string {
  return [
    '[ca]',
    'default_ca = signing',
    '[signing]',
    `database = ${join(folder, 'index')}`,
    `new_certs_dir = ${folder}`,
    'rand_serial = yes',
    'unique_subject = no',
    'default_md = sha256',
    'policy = any',
    'x509_extensions = extensions',
    '[any]',
    'organizationName = optional',
    'commonName = optional',
    '[req]',
    'distinguished_name = none',
    '[none]',
    '[extensions]',
    'subjectKeyIdentifier = hash',
    'authorityKeyIdentifier = keyid',
    ...extensions,
    '',
  ].join('\n');
}

function stamp(date: Date): string {
  return `${date.toISOString().replace(/\D/g, '').slice(0, 14)}Z`;
}

async function openssl(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await exec(['openssl', ...args], { timeoutMs: 30_000 });
  if (code !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr.trim()}`);
  return stdout;
}
