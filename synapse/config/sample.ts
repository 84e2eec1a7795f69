import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeInstance } from '../../common/instance.ts';
import { placeEverything } from '../addresses/place.ts';
import { Catalog } from '../catalog/catalog.ts';
import type { ServiceState, Snapshot } from '../output.ts';
import type { SynapseConfig } from './config.ts';

/** Stands for instances that only a source knows, so that the options of servers are checked too. */
const sample = makeInstance({ name: 'sample', host: '127.0.0.1', port: 1 });

/** A snapshot without asking any source: each service has its default servers, or one made-up instance. */
export function sampleSnapshot(config: Pick<SynapseConfig, 'services'>): Snapshot {
  // HAProxy must look up no name, and no name server is asked either.
  const catalog = new Catalog({ place: (candidates) => placeEverything(candidates, '192.0.2.1') });
  catalog.configure(config.services);
  const states = new Map<string, ServiceState>();
  for (const [name, state] of catalog.snapshot()) {
    states.set(name, state.instances === undefined ? { ...state, instances: [sample] } : state);
  }
  return states;
}

/** Runs `use` on a temporary file with this text. */
export async function withTemporaryFile<T>(text: string, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'synapse-check-'));
  try {
    const path = join(folder, 'haproxy.cfg');
    await writeFile(path, text);
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
