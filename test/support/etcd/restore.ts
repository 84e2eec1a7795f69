import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { dataFolder, peerUrl } from '../../../etcd-cluster/members/flags.ts';
import type { LocalCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import { pageBlock, runBlock } from '../docs/pages.ts';

/** Saves a backup of the cluster in `folder`, with the commands of etcd-cluster/README.md. */
export async function backUp(cluster: LocalCluster, folder: string): Promise<void> {
  await rm(join(folder, 'backup.db'), { force: true });
  const status = await runBlock(await pageBlock(/snapshot save/), { ONE_ENDPOINT: cluster.urls[0] }, folder);
  assert.match(status, /HASH/);
}

/** How a cluster is put back. */
export interface PutBackOptions {
  /** Default: the cluster's own token, so that its id stays the same. */
  readonly token?: string;
  /** Raises the revision, which old releases cannot do. */
  readonly bump?: boolean;
}

/** Kills all members, puts the backup in `folder` back as etcd-cluster/README.md describes it, and starts them again. */
export async function putBack(
  cluster: LocalCluster,
  folder: string,
  { token, bump = false }: PutBackOptions = {},
): Promise<void> {
  const { members } = cluster;
  await Promise.all(members.map((member) => member.kill()));
  const page = await pageBlock(/snapshot restore/);
  const block = bump ? page : page.replace(/ --bump-revision \d+ --mark-compacted/, '');
  assert.equal(block === page, bump);
  const url = (port: number): string => peerUrl({ name: '', client: 0, metrics: 0, peer: port }, false);
  const all = members.map(({ name, peerPort }) => `${name}=${url(peerPort)}`).join();
  for (const member of members) {
    const env = {
      ETCD_NAME: member.name,
      ETCD_DATA_DIR: dataFolder(member.folder),
      ETCD_INITIAL_CLUSTER: all,
      ETCD_INITIAL_CLUSTER_TOKEN: token ?? member.token,
      ETCD_INITIAL_ADVERTISE_PEER_URLS: url(member.peerPort),
    };
    await rm(`${env.ETCD_DATA_DIR}.before`, { recursive: true, force: true });
    await runBlock(block, env, folder);
  }
  await Promise.all(members.map((member) => member.start()));
  await cluster.ready();
}
