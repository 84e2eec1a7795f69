import type { CheckPlugin } from '../check.ts';

/** `noop`, for services whose health nerve must not check. */
export const check: CheckPlugin<Record<never, never>> = {
  description: 'Always passes.',
  schema: {},
  create: () => async () => {},
};
