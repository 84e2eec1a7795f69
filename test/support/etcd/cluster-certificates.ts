import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EtcdTls } from '../../../common/etcd/client/options.ts';
import { type HolderFiles, holderFiles, memberTls, type Purpose } from '../../../etcd-cluster/tls/layout.ts';
import { sign } from '../../../etcd-cluster/tls/openssl.ts';
import { clusterCommand } from './cluster-command.ts';

/** Certificates for three members on loopback and their clients, below one folder. */
export interface ClusterCertificates {
  /** The folder that has one folder for each holder. */
  readonly folder: string;
  readonly memberTls: (name: string) => ReturnType<typeof memberTls>;
  files(holder: string, purpose: Purpose): HolderFiles;
  /** The `tls` options of a client with this name. */
  client(name: string): Required<Pick<EtcdTls, 'ca' | 'cert' | 'key'>>;
  /** Makes or renews all certificates. */
  make(...options: readonly string[]): Promise<void>;
  /** Replaces a certificate by one that expired a minute ago. */
  expire(holder: string, purpose: Purpose): Promise<void>;
  /** The certificate that a member presents, as `tls.connect` shows it. */
  serial(holder: string, purpose: Purpose): Promise<string>;
}

/** Makes certificates with the command that users run, each time with these options too. */
export async function clusterCertificates(folder: string, ...always: readonly string[]): Promise<ClusterCertificates> {
  const [ca, out] = [join(folder, 'ca'), join(folder, 'tls')];
  const files = (holder: string, purpose: Purpose): HolderFiles => holderFiles(out, holder, purpose);
  const made: ClusterCertificates = {
    folder: out,
    memberTls: (name) => memberTls(out, name),
    files,
    client: (name) => files(name, 'client'),
    async make(...options) {
      const members = ['etcd1', 'etcd2', 'etcd3'].map((name) => `${name}=127.0.0.1`);
      const given = ['--ca', ca, '--out', out, ...members, ...always, ...options];
      const { code, stderr } = await clusterCommand('certificates', given);
      assert.deepEqual([code, stderr], [0, '']);
    },
    async expire(holder, purpose) {
      const { cert, key } = files(holder, purpose);
      const until = new Date(Date.now() - 60_000);
      const text = { commonName: holder, extensions: ['subjectAltName = IP:127.0.0.1'], from: new Date(0), until };
      await writeFile(cert, await sign(key, text, { cert: join(ca, 'ca.pem'), key: join(ca, 'ca-key.pem') }));
    },
    async serial(holder, purpose) {
      return new X509Certificate(await readFile(files(holder, purpose).cert)).serialNumber;
    },
  };
  await made.make();
  return made;
}
