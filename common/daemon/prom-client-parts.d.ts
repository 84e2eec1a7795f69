// prom-client has no types of its own for the parts of its default metrics.
declare module 'prom-client/lib/metrics/*' {
  import type { Registry } from 'prom-client';

  const start: (registry: Registry) => void;
  // biome-ignore lint/style/noDefaultExport: the module is CommonJS, whose exports are the default of an import.
  export default start;
}
