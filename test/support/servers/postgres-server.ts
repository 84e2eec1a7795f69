import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';
import { unpackPackages } from '../../../deploy/tools/debian/programs.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { asOrdinaryUser, dataFolder, listens, type Server, startServer } from './server.ts';

/** A PostgreSQL server. */
export interface Postgres extends Server {
  readonly port: number;
  readonly socket: string;
}

/** The data of a new PostgreSQL (Debian's) whose users, made by `sql`, need a password; servers start on copies of it. */
export interface PostgresData {
  start(options?: { readonly standby?: boolean; readonly settings?: readonly string[] }): Promise<Postgres>;
  remove(): Promise<void>;
}

/** Makes the data of a new PostgreSQL, with the users that `sql` creates. */
export async function makePostgres(sql: string): Promise<PostgresData> {
  const bin = join(await unpackPackages('bookworm', ['postgresql-15']), 'usr/lib/postgresql/15/bin');
  const template = await dataFolder();
  const data = join(template.path, 'data');
  const env = { ...process.env, LC_ALL: 'C', TZ: 'GMT' };
  const run = async (argv: readonly [string, ...string[]], input?: string): Promise<void> => {
    const { code, stdout, stderr } = await exec(asOrdinaryUser(argv), {
      timeoutMs: 60_000,
      env,
      cwd: template.path,
      ...(input !== undefined && { input }),
    });
    if (code !== 0) throw new Error(`${argv[0]}: ${stdout}${stderr}`);
  };
  const start: PostgresData['start'] = async ({ standby = false, settings = [] } = {}) => {
    const folder = await dataFolder();
    const copy = join(folder.path, 'data');
    try {
      await exec(asOrdinaryUser(['cp', '-a', data, copy]), { timeoutMs: 60_000 });
      if (standby) await writeFile(join(copy, 'standby.signal'), '');
      const port = await freePort();
      const options = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder.path}`];
      const flags = [...options, 'fsync=off', ...settings].flatMap((setting) => ['-c', setting]);
      const server = await startServer(asOrdinaryUser([join(bin, 'postgres'), '-D', copy, ...flags]), {
        env,
        ready: () => listens(port),
      });
      const stop = async (): Promise<void> => {
        await server.stop();
        await folder.remove();
      };
      return { ...server, port, socket: join(folder.path, `.s.PGSQL.${port}`), stop };
    } catch (error) {
      await folder.remove();
      throw error;
    }
  };
  try {
    await run([join(bin, 'initdb'), '-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync', '-E', 'UTF8']);
    await run([join(bin, 'postgres'), '--single', '-D', data, '-F', 'postgres'], `${sql}\n`);
    await writeFile(
      join(data, 'pg_hba.conf'),
      'local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n',
    );
    await appendFile(join(data, 'postgresql.conf'), "timezone = 'GMT'\nlog_timezone = 'GMT'\n");
  } catch (error) {
    await template.remove();
    throw error;
  }
  return { start, remove: template.remove };
}
