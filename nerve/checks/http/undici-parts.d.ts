// undici has no types of its own for its parts.
declare module 'undici/lib/dispatcher/client.js' {
  import type { Client } from 'undici';

  const client: typeof Client;
  // biome-ignore lint/style/noDefaultExport: the module is CommonJS, whose exports are the default of an import.
  export default client;
}

declare module 'undici/lib/api/api-request.js' {
  import type { Client } from 'undici';

  const request: Client['request'];
  // biome-ignore lint/style/noDefaultExport: the module is CommonJS, whose exports are the default of an import.
  export default request;
}
