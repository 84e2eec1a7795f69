/** `etcd-cluster/certificates`: an authority, and the certificates of members and clients. */
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UsageError } from '../../common/cli/program.ts';
import { formatTable } from '../../common/cli/table.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { type Given, runCommand } from '../command.ts';
import { day, openAuthority } from '../tls/authority.ts';
import { clientLeaf, type Leaf, memberLeaves } from '../tls/leaf.ts';
import { provide } from '../tls/renew.ts';

const defaults = { clients: ['root', 'nerve', 'synapse', 'operator'], days: 30, authorityDays: 3650 } as const;

const usage = `Usage: etcd-cluster/certificates --ca DIR --out DIR [OPTIONS] MEMBER=HOST[,HOST...]...

Makes an authority and the certificates of members and clients, and renews those that need it: run it daily, with the
same words. Each MEMBER is named with every address and name by which clients and other members reach it.

  --ca DIR          the authority and its key; keep it apart, nothing of it is needed to run
  --out DIR         a folder for each member (server.pem, peer.pem) and client (client.pem), each with its keys
                    (mode 0600) and the authority's certificate (ca.pem): take each as a whole to its host
  --client NAME     the clients, also the names of their users in etcd; may be repeated,
                    default ${defaults.clients.join(', ')}
  --days N          how long certificates are good for, default ${defaults.days}
  --renew-within N  renew what is good for fewer days than this, default a third of --days
  --new-keys        new private keys, too; without it only certificates change
  --also-trust FILE another authority that everybody is to trust, while one replaces the other
  --help            this text
`;

await runCommand({
  usage,
  options: {
    ca: { type: 'string' },
    out: { type: 'string' },
    client: { type: 'string', multiple: true },
    days: { type: 'string' },
    'renew-within': { type: 'string' },
    'new-keys': { type: 'boolean' },
    'also-trust': { type: 'string' },
  },
  async run({ values, words }) {
    const [ca, out] = [folderOf(values, 'ca'), folderOf(values, 'out')];
    if (`${ca}/`.startsWith(`${out}/`)) throw new UsageError('--ca must not be below --out: its key goes to no host');
    const days = daysOf(values, 'days', defaults.days);
    const within = daysOf(values, 'renew-within', days / 3) * day;
    const leaves = understand(() => [...words.flatMap(memberLeaves), ...clientsOf(values).map(clientLeaf)]);
    const twice = leaves.find((leaf, at) => leaves.some((other, i) => i < at && same(leaf, other)));
    if (twice !== undefined) throw new UsageError(`${twice.holder} is named twice`);
    const also = values['also-trust'] === undefined ? '' : await readFile(String(values['also-trust']), 'utf8');
    if (also !== '') new X509Certificate(also);
    const authority = await openAuthority(ca, defaults.authorityDays);
    const newKeys = values['new-keys'] === true;
    const wanted = { out, days, within, newKeys, authority, trusted: authority.pem + also };
    await mkdir(out, { recursive: true, mode: 0o755 });
    const rows: (readonly string[])[] = [];
    for (const leaf of leaves) rows.push(await provide(leaf, wanted));
    process.stdout.write(formatTable(rows));
    const { validTo } = authority.certificate;
    if (Date.parse(validTo) - Date.now() < 2 * days * day) {
      process.stderr.write(`warning: the authority itself ends on ${validTo}: make another one in time\n`);
    }
  },
});

function same(a: Leaf, b: Leaf): boolean {
  return a.holder === b.holder && a.purpose === b.purpose;
}

function clientsOf(values: Given['values']): readonly string[] {
  return (values.client as unknown as readonly string[] | undefined) ?? defaults.clients;
}

function folderOf(values: Given['values'], option: string): string {
  if (values[option] === undefined) throw new UsageError(`--${option} DIR is needed`);
  return resolve(String(values[option]));
}

function daysOf(values: Given['values'], option: string, fallback: number): number {
  const days = values[option] === undefined ? fallback : Number(values[option]);
  if (!(days > 0 && days <= 36_500)) throw new UsageError(`--${option} ${values[option]}: must be a number of days`);
  return days;
}

function understand<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError(reasonOf(error));
  }
}
