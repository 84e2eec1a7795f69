import { builtFolder } from '../../../common/place.ts';
import type { PluginFolder } from '../../../common/plugin.ts';

/** Where the resolvers are, and their older names. */
export const resolverFolder: PluginFolder = {
  kind: 'resolver',
  url: new URL('synapse/discovery/multi/resolvers/', builtFolder),
  symbol: 'resolver',
  aliases: { fallback: 'sequential' },
};
