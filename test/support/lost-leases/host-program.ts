/**
 * The instances of a host in a network of its own: `node host-program.js SERVICE NAME PORT…`. It serves on every address
 * of its network, does what its parent sends, and ends with it.
 */
import { startLocalHost } from './instance-host.ts';
import type { HostCommand } from './network-host.ts';

const [service = '', name = '', ...ports] = process.argv.slice(2);
process.once('disconnect', () => process.exit());
const host = await startLocalHost(service, { name, address: '0.0.0.0', ports: ports.map(Number) });
process.on('message', (command: HostCommand) => {
  const done = command.do === 'serve' ? host.serve(command.service) : host[command.do]();
  void done.then(() => process.send?.('done'));
});
process.send?.('done');
