import type { CheckPlugin } from '../check.ts';

/** Always healthy: for services whose health is none of nerve's business. */
export const check: CheckPlugin<Record<never, never>> = {
  description: 'Always passes.',
  schema: {},
  create: () => async () => {},
};
