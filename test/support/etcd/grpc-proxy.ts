import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild, waitFor } from '../../../deploy/demo/child.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';

/** etcd's own proxy in front of a cluster; it joins the watches of its clients. */
export interface GrpcProxy {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts one and waits until it is ready. */
export async function startGrpcProxy(etcd: string, urls: readonly string[], folder = tmpdir()): Promise<GrpcProxy> {
  const address = `127.0.0.1:${await freePort()}`;
  const own = [`--listen-addr=${address}`, `--advertise-client-url=${address}`];
  const data = `--data-dir=${join(folder, `grpc-proxy-${address.slice(10)}`)}`;
  const child = await startChild([etcd, 'grpc-proxy', 'start', `--endpoints=${urls.join()}`, ...own, data], {
    ...{ name: 'grpc-proxy', logFile: join(folder, `grpc-proxy-${address.slice(10)}.log`) },
  });
  const url = `http://${address}`;
  const stop = async (): Promise<void> => void (await child.stop('SIGKILL'));
  try {
    await waitFor(child, async () => (await fetch(`${url}/health`).catch(() => undefined))?.ok === true);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, pid: child.pid, stop };
}
