import { join } from 'node:path';

/** A member's name and its ports on loopback. */
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

/** What a member shows to clients and to other members. */
export interface MemberTls extends KeyPair {
  /** Clients must show a certificate of this authority. */
  readonly ca?: string;
  /** Members talk TLS to each other too, each proving itself to the other as `name`. */
  readonly peer?: KeyPair & { readonly ca: string; readonly name: string };
}

export interface ClusterFlags {
  readonly members: readonly MemberAddress[];
  /** The cluster id follows from the addresses and this: with a new one, old members and clients notice. */
  readonly token: string;
  /** Writes without fsync: whoever kills a member loses nothing, whoever cuts the power does. etcd 3.5 and newer. */
  readonly unsafe: boolean;
  readonly tls?: MemberTls;
}

/** The address that clients of a member use. */
export function clientUrl({ client }: MemberAddress, secure: boolean): string {
  return `${secure ? 'https' : 'http'}://127.0.0.1:${client}`;
}

/** The address that the other members use. */
export function peerUrl({ peer }: MemberAddress, secure: boolean): string {
  return `${secure ? 'https' : 'http'}://127.0.0.1:${peer}`;
}

/** Where a member keeps its data: below its folder. */
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
    // Fast elections on one machine, yet not so fast that a busy one holds them for no reason.
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
    // Without it, everybody with a certificate of the authority could pass for a member.
    `--peer-cert-allowed-cn=${name}`,
  ];
}
