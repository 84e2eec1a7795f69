import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';
import { unpackPackages } from '../../../deploy/tools/debian/programs.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { asOrdinaryUser, dataFolder, listens, type Server, startServer } from './server.ts';

/** A MariaDB server. */
export interface Mariadb extends Server {
  readonly port: number;
  readonly socket: string;
}

/** Debian's MariaDB on a free port, on new system tables to which `sql` was applied, one statement a string. */
export async function startMariadb(sql: readonly string[], settings: readonly string[] = []): Promise<Mariadb> {
  const tree = await unpackPackages('bookworm', ['mariadb-server-core']);
  const share = join(tree, 'usr/share/mysql');
  const data = await dataFolder();
  const common = [
    join(tree, 'usr/sbin/mariadbd'),
    '--no-defaults',
    `--datadir=${data.path}`,
    `--lc-messages-dir=${share}`,
    `--character-sets-dir=${share}/charsets`,
    `--plugin-dir=${join(tree, 'usr/lib/mysql/plugin')}`,
    '--innodb-log-file-size=4M',
    '--innodb-flush-log-at-trx-commit=0',
    '--loose-innodb-use-native-aio=0',
  ] as const;
  try {
    const scripts = ['mysql_system_tables.sql', 'mysql_performance_tables.sql', 'mysql_system_tables_data.sql'];
    const tables = await Promise.all(scripts.map((file) => readFile(join(share, file), 'utf8')));
    // One statement a line: that is how the server reads what it is started with.
    const start = [
      'create database mysql;',
      'use mysql;',
      'SET @auth_root_socket=NULL;',
      'SET @skip_auth_anonymous=1;',
    ];
    const input = [...start, ...tables, 'flush privileges;', ...sql.map((line) => `${line};`), ''].join('\n');
    const made = await exec(asOrdinaryUser([...common, '--bootstrap']), { timeoutMs: 60_000, input });
    if (made.code !== 0) throw new Error(`mariadbd --bootstrap: ${made.stderr}`);
    const port = await freePort();
    const socket = join(data.path, 'mysqld.sock');
    const listen = [`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${socket}`];
    const server = await startServer(asOrdinaryUser([...common, ...listen, ...settings]), {
      ready: () => listens(port),
    });
    const stop = async (): Promise<void> => {
      await server.stop();
      await data.remove();
    };
    return { ...server, port, socket, stop };
  } catch (error) {
    await data.remove();
    throw error;
  }
}
