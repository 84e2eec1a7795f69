/**
 * The folder that `common/`, `nerve/` and `synapse/` are in, with a slash at its end: `dist/`, or the checkout when the
 * sources run unbuilt. In the published package this module is part of a file in `dist/chunks/` or `dist/nerve/`, which is
 * as deep.
 */
export const builtFolder = new URL('../', import.meta.url);
