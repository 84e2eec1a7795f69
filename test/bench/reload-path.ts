/**
 * What synapse is compared with in `peers`: the smallest program that renders haproxy.cfg from etcd and reloads HAProxy, as
 * confd and consul-template do. It watches one prefix and, after a change, writes the whole file, moves it into place and
 * reloads through the master socket; changes that arrive meanwhile share the next reload. It checks nothing, remembers
 * nothing and survives nothing.
 *
 * Usage: node reload-path.js ETCD_HOSTS PREFIX HEAD_FILE CONFIG_FILE MASTER_SOCKET
 *
 * HEAD_FILE has the text before the servers of the last backend.
 */
import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { Etcd3 } from 'etcd3';

const [hosts = '', prefix = '', headFile = '', configFile = '', master = ''] = process.argv.slice(2);
const head = await readFile(headFile, 'utf8');
const etcd = new Etcd3({ hosts: hosts.split(',') });
const records = new Map<string, string>();
let isDirty = true;
let isBusy = false;

async function follow(): Promise<void> {
  if (isBusy) return;
  isBusy = true;
  while (isDirty) {
    isDirty = false;
    const lines = [...records.keys()].toSorted().map((key) => {
      const { name, host, port } = JSON.parse(records.get(key) ?? '');
      return `\tserver ${name}_${host}:${port} ${host}:${port} id ${Number(name.slice(1))}\n`;
    });
    await writeFile(`${configFile}.new`, head + lines.join(''));
    await rename(`${configFile}.new`, configFile);
    const socket = connect(master);
    socket.write('reload\n');
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    // The master answers when the new worker has loaded, and closes the connection.
    await once(socket, 'close');
    if (!answer.startsWith('Success=1')) throw new Error(`the reload failed: ${answer}`);
  }
  isBusy = false;
}

const watcher = await etcd.watch().prefix(prefix).create();
watcher.on('put', ({ key, value }) => {
  records.set(key.toString(), value.toString());
  isDirty = true;
  void follow();
});
for (const [key, value] of Object.entries(await etcd.getAll().prefix(prefix).strings())) records.set(key, value);
await follow();
process.stdout.write('ready\n');
