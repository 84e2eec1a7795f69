import { hostname } from 'node:os';
import type { HaproxyConfig } from './config.ts';

/** The seed of the shuffle: given, or this host's name, so that hosts differ and restarts do not. */
export function orderSeed(config: Pick<HaproxyConfig, 'server_order_seed'>): string {
  return String(config.server_order_seed ?? hostname());
}
