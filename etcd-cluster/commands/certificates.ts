/** `etcd-cluster/certificates`: an authority, and the certificates of members and clients. */
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { numberOption } from '../../common/cli/number-option.ts';
import { UsageError } from '../../common/cli/program.ts';
import { formatTable } from '../../common/cli/table.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { type CommandLine, runCommand } from '../command.ts';
import { dayMs, openAuthority } from '../tls/authority.ts';
import { clientLeaf, type Leaf, memberLeaves } from '../tls/leaf.ts';
import { issue } from '../tls/renew.ts';
import { readCertificateUsers } from '../users/access-config.ts';
import { rootName } from '../users/access-plan.ts';

const defaults = { clients: ['root', 'nerve', 'synapse', 'operator'], days: 30, authorityDays: 3650 } as const;

const usage = `Usage: etcd-cluster/certificates --ca DIR --out DIR [OPTIONS] MEMBER=HOST[,HOST...]...

Makes a certificate authority and the certificates of members and clients, and renews certificates that expire soon: run
it daily, with the same arguments. Give each MEMBER every address and name by which clients and other members reach it.

  --ca DIR          the folder of the authority and its key; keep it apart, neither members nor clients need it
  --out DIR         the folder for the results: a folder for each member (server.pem, peer.pem) and each client
                    (client.pem), with their keys (mode 0600) and the certificate of the authority (ca.pem); copy
                    each of them as a whole to its host
  --access FILE     make certificates for root and for the users without a password in FILE, which is the file of
                    etcd-cluster/access
  --client NAME     a client, which is also the name of its user in etcd; may be repeated; without --access and --client:
                    ${defaults.clients.join(', ')}
  --days N          how many days certificates are valid, default ${defaults.days}
  --renew-within N  renew certificates that are valid for fewer than N days, default a third of --days
  --new-keys        make new private keys, too; without it only certificates change
  --also-trust FILE the certificate of another authority that all members and clients trust too, while one authority
                    replaces the other
  --help            show this text
`;

await runCommand({
  usage,
  options: {
    ca: { type: 'string' },
    out: { type: 'string' },
    access: { type: 'string' },
    client: { type: 'string', multiple: true },
    days: { type: 'string' },
    'renew-within': { type: 'string' },
    'new-keys': { type: 'boolean' },
    'also-trust': { type: 'string' },
  },
  async run({ values, words }) {
    const [ca, out] = [folderOf(values, 'ca'), folderOf(values, 'out')];
    if (`${ca}/`.startsWith(`${out}/`))
      throw new UsageError('--ca must not be below --out: the key of the authority must not reach a host');
    const days = daysOf(values, 'days', defaults.days);
    const withinMs = (values['renew-within'] === undefined ? days / 3 : daysOf(values, 'renew-within', days)) * dayMs;
    const clients = await clientsOf(values);
    const leaves = orUsageError(() => [...words.flatMap(memberLeaves), ...clients.map(clientLeaf)]);
    const twice = leaves.find((leaf, at) => leaves.some((other, i) => i < at && same(leaf, other)));
    if (twice !== undefined) throw new UsageError(`${twice.holder} is named twice`);
    const also = values['also-trust'] === undefined ? '' : await readFile(String(values['also-trust']), 'utf8');
    if (also !== '') new X509Certificate(also);
    const authority = await openAuthority(ca, defaults.authorityDays);
    const newKeys = values['new-keys'] === true;
    const options = { out, days, withinMs, newKeys, authority, trusted: authority.pem + also };
    await mkdir(out, { recursive: true, mode: 0o755 });
    const rows: (readonly string[])[] = [];
    for (const leaf of leaves) rows.push(await issue(leaf, options));
    process.stdout.write(formatTable(rows));
    const { validTo } = authority.certificate;
    if (Date.parse(validTo) - Date.now() < 2 * days * dayMs) {
      process.stderr.write(`warning: the authority expires on ${validTo}: replace it before that\n`);
    }
  },
});

function same(a: Leaf, b: Leaf): boolean {
  return a.holder === b.holder && a.purpose === b.purpose;
}

async function clientsOf(values: CommandLine['values']): Promise<readonly string[]> {
  const named = values.client as unknown as readonly string[] | undefined;
  if (values.access === undefined) return named ?? defaults.clients;
  return [...new Set([rootName, ...(await readCertificateUsers(String(values.access))), ...(named ?? [])])];
}

function folderOf(values: CommandLine['values'], option: string): string {
  if (values[option] === undefined) throw new UsageError(`--${option} DIR is required`);
  return resolve(String(values[option]));
}

function daysOf(values: CommandLine['values'], option: string, fallback: number): number {
  return numberOption(option, values[option] ?? fallback, { least: 1, most: 36_500 });
}

function orUsageError<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
}
