/**
 * The floor that propagation is compared with: the smallest program that does the job. It watches one prefix with
 * etcd3 and sends two commands per new key over one connection to HAProxy, in one write. It checks nothing, remembers
 * nothing, survives nothing and writes no file.
 *
 * Usage: node floor.js ETCD_HOSTS PREFIX HAPROXY_SOCKET
 *
 * The last but one part of a key is the backend.
 */
import { connect } from 'node:net';
import { Etcd3 } from 'etcd3';

const [hosts = '', prefix = '', socketPath = ''] = process.argv.slice(2);
const haproxy = connect(socketPath);
haproxy.setNoDelay();
haproxy.write('prompt\nset timeout cli 1h\n');
haproxy.resume();
const watcher = await new Etcd3({ hosts: hosts.split(',') }).watch().prefix(prefix).create();
watcher.on('put', ({ key, value }) => {
  const [, backend = ''] = key
    .toString()
    .slice(prefix.length - 1)
    .split('/');
  const { name, host, port } = JSON.parse(value.toString());
  const server = `${backend}/${name}_${host}:${port}`;
  haproxy.write(`add server ${server} ${host}:${port}\nset server ${server} state ready\n`);
});
process.stdout.write('ready\n');
