import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

/** A member's name and its ports on loopback: for clients, for the other members, for metrics and health. */
export interface MemberAddress {
  readonly name: string;
  readonly client: number;
  readonly peer: number;
  readonly metrics: number;
}

/** Paths of PEM files. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** The certificate that a member shows to clients, and to other members. */
export interface MemberTls extends KeyPair {
  /** With it, clients must show a certificate of this authority. */
  readonly ca?: string;
  /** With it, members talk TLS to each other too; each must show a certificate with the common name `name`. */
  readonly peer?: KeyPair & { readonly ca: string; readonly name: string };
}

/** What all members of a cluster have in common. */
export interface ClusterFlags {
  readonly members: readonly MemberAddress[];
  /** etcd derives the cluster id from the addresses and this token. */
  readonly token: string;
  /** Writes without fsync, which loses data only when the machine loses power. etcd 3.5 and newer. */
  readonly unsafe: boolean;
  readonly tls?: MemberTls;
}

/** Addresses of members etcd1, etcd2 and so on, with three of the ports for each. */
export function memberAddresses(ports: readonly number[]): readonly MemberAddress[] {
  return Array.from({ length: ports.length / 3 }, (_, index) => {
    const [client, peer, metrics] = ports.slice(index * 3) as [number, number, number];
    return { name: `etcd${index + 1}`, client, peer, metrics };
  });
}

/** A token for a cluster that has an id of its own. */
export function newToken(): string {
  return `local-${randomBytes(6).toString('hex')}`;
}

/** The address at which clients reach a member. */
export function clientUrl({ client }: MemberAddress, secure: boolean): string {
  return `${secure ? 'https' : 'http'}://127.0.0.1:${client}`;
}

/** The address at which the other members reach a member. */
export function peerUrl({ peer }: MemberAddress, secure: boolean): string {
  return `${secure ? 'https' : 'http'}://127.0.0.1:${peer}`;
}

/** The folder for a member's data, below the member's folder. */
export function dataFolder(folder: string): string {
  return join(folder, 'data');
}

/** The command line of one member of a cluster on loopback, without the program. */
export function memberFlags(member: MemberAddress, folder: string, cluster: ClusterFlags): readonly string[] {
  const { members, token, unsafe, tls } = cluster;
  const securePeers = tls?.peer !== undefined;
  const url = clientUrl(member, tls !== undefined);
  const peer = peerUrl(member, securePeers);
  return [
    `--name=${member.name}`,
    `--data-dir=${dataFolder(folder)}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--listen-metrics-urls=http://127.0.0.1:${member.metrics}`,
    `--initial-cluster=${members.map((one) => `${one.name}=${peerUrl(one, securePeers)}`).join(',')}`,
    `--initial-cluster-token=${token}`,
    '--logger=zap',
    '--log-outputs=stderr',
    '--log-level=warn',
    // Elections are fast on one machine; with less, a busy machine would hold elections without need.
    '--heartbeat-interval=100',
    '--election-timeout=1000',
    ...(unsafe ? ['--unsafe-no-fsync'] : []),
    ...(tls ? [`--cert-file=${tls.cert}`, `--key-file=${tls.key}`] : []),
    ...(tls?.ca ? ['--client-cert-auth', `--trusted-ca-file=${tls.ca}`] : []),
    ...(tls?.peer ? peerFlags(tls.peer) : []),
  ];
}

function peerFlags({ cert, key, ca, name }: NonNullable<MemberTls['peer']>): readonly string[] {
  return [
    `--peer-cert-file=${cert}`,
    `--peer-key-file=${key}`,
    '--peer-client-cert-auth',
    `--peer-trusted-ca-file=${ca}`,
    // Without it, every client with a certificate of the authority could pass for a member.
    `--peer-cert-allowed-cn=${name}`,
  ];
}
