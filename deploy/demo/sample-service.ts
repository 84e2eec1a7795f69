/**
 * A service to discover: answers every request with its own name, and `/health` with 200. After SIGUSR2 it answers
 * `/health` with 503, after SIGUSR1 with 200 again.
 *
 * Usage: node sample-service.js NAME PORT
 */
import { createServer } from 'node:http';

const [name = 'sample', port = '0'] = process.argv.slice(2);
let healthy = true;
process.on('SIGUSR1', () => {
  healthy = true;
});
process.on('SIGUSR2', () => {
  healthy = false;
});

const server = createServer((request, response) => {
  const isCheck = request.url === '/health';
  response.statusCode = isCheck && !healthy ? 503 : 200;
  response.end(isCheck ? `${healthy ? 'ok' : 'sick'}\n` : `${name}\n`);
});
server.keepAliveTimeout = 60_000;
server.listen(Number(port), '127.0.0.1');
process.on('SIGTERM', () => {
  server.close();
  server.closeIdleConnections();
});
