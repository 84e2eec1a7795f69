/** Every version of HAProxy that is supported and that Debian has: the tests need all of them, and fail without. */
export const haproxyVersions = ['2.6', '3.0', '3.2', '3.4'] as const;

/** One of {@link haproxyVersions}. */
export type HaproxyVersion = (typeof haproxyVersions)[number];
