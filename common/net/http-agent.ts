import { Agent } from 'undici';
import { sharedLookup } from './lookup.ts';

/** For requests of undici to hosts that may be names; see {@link sharedLookup}. */
export const httpAgent = new Agent({ connect: { lookup: sharedLookup } });
